// validate.mjs - what others' programs say of our JSON.  ../schemas.sh calls it.
//
//     document FILE               an AsyncAPI document, by @asyncapi/parser
//     events DOCUMENT FILE        CloudEvents, by their SDK; the data of each,
//                                 by its schema in DOCUMENT
//     payloads DOCUMENT FILE      lines "NAME VERSION HEX JSON", by the schemas
//
// Prints what is wrong and exits 1, or how many were right.
import { readFileSync } from 'node:fs';
import { Parser } from '@asyncapi/parser';
import { CloudEvent } from 'cloudevents';
import Ajv from 'ajv';

const [verb, first, second] = process.argv.slice(2);
const read = (file) => readFileSync(file, 'utf8');
let problems = 0;

function complain(what, why) {
    console.log(`${what}: ${why}`);
    problems++;
}

// Any diagnostic counts, hints too.
async function checkDocument(text) {
    const { document, diagnostics } = await new Parser().parse(text);
    for (const d of diagnostics)
        complain(d.path.join('/'), d.message);
    if (document === undefined || document.version() !== '3.1.0')
        complain('document', 'it is not AsyncAPI 3.1.0');
    return document?.allOperations().length;
}

// By "$id"; a keyword that it does not know is an error.
function schemasOf(document) {
    const ajv = new Ajv({ strict: true, allErrors: true });
    ajv.addVocabulary(['x-unit', 'x-tag']);
    for (const schema of Object.values(document.components.schemas))
        ajv.addSchema(schema);
    return ajv;
}

function checkPayload(ajv, what, id, data) {
    const validate = ajv.getSchema(id);
    if (validate === undefined)
        complain(what, `no schema is called ${id}`);
    else if (!validate(data))
        complain(what, ajv.errorsText(validate.errors));
}

function checkEvents(document, events) {
    const ajv = schemasOf(document);
    for (const event of events) {
        const what = `${event.source} ${event.id} ${event.type}`;
        // The SDK would fill in what is missing.
        for (const name of ['specversion', 'id', 'source', 'type'])
            if (!(name in event))
                complain(what, `it has no ${name}`);
        try {
            new CloudEvent(event); // strict: it throws
        } catch (error) {
            complain(what, `${error.message} ${JSON.stringify(error.errors)}`);
        }
        if ('data' in event)
            checkPayload(ajv, what, event.dataschema, event.data);
        else if (!event.data_base64 ||
            event.datacontenttype !== 'application/msgpack')
            complain(what, 'its data are not as they were stored');
    }
    if (new Set(events.map((event) => event.id)).size !== events.length)
        complain('events', 'two have one id');
    return events.length;
}

function checkPayloads(document, lines) {
    const ajv = schemasOf(document);
    for (const line of lines) {
        const [, name, version, json] = /^(\S+) (\d+) \S+ (.*)$/.exec(line);
        checkPayload(ajv, `${name} ${version}`,
            `urn:saga:message:${name}:${version}`, JSON.parse(json));
    }
    return lines.length;
}

const checks = {
    document: () => checkDocument(read(first)),
    events: () => checkEvents(JSON.parse(read(first)), JSON.parse(read(second))),
    payloads: () => checkPayloads(JSON.parse(read(first)),
        read(second).trimEnd().split('\n')),
};
const count = await checks[verb]();
if (!(count > 0))
    complain(verb, 'nothing was checked');
console.log(problems > 0 ? `${problems} wrong` : `${count} right`);
process.exitCode = problems > 0 ? 1 : 0;
