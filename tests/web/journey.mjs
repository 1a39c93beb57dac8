// journey.mjs LINK BROWSER SAGA - a visitor of the live page, in a real browser.
//
// Prints TAP.  Every wait is for a condition that stays once it holds, and none
// for a time: a slow machine only takes longer.
import {execFileSync} from 'node:child_process';
import {createServer} from 'node:http';
import {readFileSync} from 'node:fs';
import {chromium} from 'playwright-core';

const [link, executablePath, saga] = process.argv.slice(2);
const {origin, port} = new URL(link);
const token = link.slice(link.indexOf('#') + 1);
const PATIENCE_MS = 60000;
const BURST = 4;

const axe = readFileSync(new URL('node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
const browser = await chromium.launch({
  executablePath,
  args: ['--no-sandbox', '--host-resolver-rules=MAP evil.example 127.0.0.1'],
});
const asked = new Set(); // origins of all that the page has asked for
const errors = [];

async function visit(width, address) {
  const context = await browser.newContext({viewport: {width, height: 900}});
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  page.on('request', (request) => request.url().startsWith('data:') ||
    asked.add(new URL(request.url()).origin));
  page.on('pageerror', (error) => errors.push(error.stack));
  page.on('console', (line) => line.text().includes('Security Policy') && errors.push(line.text()));
  await page.goto(address);
  return page;
}

const must = (holds, why) => {
  if (!holds) throw new Error(why);
};
const same = (wanted, is) => must(wanted === is, `${JSON.stringify(is)}, not ${JSON.stringify(wanted)}`);
const show = (order) => {
  try {
    return JSON.parse(execFileSync(saga, ['show', order, '--json'], {encoding: 'utf8'}));
  } catch (error) {
    same(66, error.status);
    return undefined; // there is no such order
  }
};

async function live(page) {
  await page.waitForFunction(() => document.getElementById('connection').textContent === 'live');
  await page.evaluate(async () => {
    window.shop = (await import('/shop.js')).shop;
    window.lanes = document.querySelector('saga-lanes');
  });
}
const service = (name) => page.locator('saga-services article',
  {has: page.getByRole('heading', {name, exact: true})});

// Until @seen holds of the two globals that `live` makes.
const until = (seen, arg) => page.waitForFunction(seen, arg);

let page;

const steps = {
  'the link opens the page, and its token leaves the address': async () => {
    page = await visit(1280, link);
    await live(page);
    same(`${origin}/`, page.url());
    await page.reload();
    await live(page);
    await page.locator('saga-services article').nth(2).waitFor();
  },
};

steps['a placed order goes through the lanes'] = async () => {
  await page.locator('saga-do').getByRole('button', {name: 'place', exact: true}).click();
  for (const type of ['OrderPlaced', 'StockReserved', 'PaymentCharged', 'OrderConfirmed'])
    await page.locator('saga-lanes .recent', {hasText: type}).waitFor();
  await page.locator('saga-orders tbody', {hasText: 'CONFIRMED'}).waitFor();
};

steps['a node of its picture opens by keyboard, with the states before and after'] = async () => {
  const first = page.locator('saga-trace .node').first();
  await first.waitFor();
  await first.press('Enter');
  const opened = page.locator('saga-trace .payload');
  await opened.filter({hasText: '"customer": "alice"'}).waitFor();
  await opened.filter({hasText: /before: none[^]*after: \{"status":"PENDING"/}).waitFor();
};

steps['a killed service is said, and dots pile up before it'] = async () => {
  await service('payment').getByRole('button', {name: 'kill -9'}).click();
  await page.locator('saga-purpose', {hasText: 'payment is down'}).waitFor();
  await page.getByLabel('how many').fill(String(BURST));
  await page.getByRole('button', {name: 'burst'}).click();
  await page.locator('saga-do [role=status]', {hasText: `placed ${BURST} of ${BURST}`}).waitFor();
  await until((count) => lanes.dots.filter((dot) => dot.to === 'payment' &&
    dot.type === 'StockReserved' && !lanes.passed(dot)).length === count, BURST);
  await until((count) => lanes.behind('payment') >= count, BURST);
};

steps['the dots are drawn'] = () => page.waitForFunction(() => {
  const canvas = document.querySelector('saga-lanes canvas');
  const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let coloured = 0;
  for (let i = 0; i < data.length; i += 4)
    if (data[i + 3] > 200 && data[i + 2] > data[i] + 60) coloured++;
  return coloured > 20;
});

steps['who has not ended is listed, with what it waits for'] = async () => {
  const stuck = page.locator('saga-orders .stuck li', {hasText: 'Waits for payment'});
  await stuck.nth(BURST - 1).waitFor();
  await stuck.first().getByText('Its deadline is in').waitFor();
};

steps['one of them is cancelled by its form'] = async () => {
  const order = await page.locator('saga-orders .stuck button').first().textContent();
  const form = page.locator('saga-do form', {has: page.getByRole('button', {name: 'cancel', exact: true})});
  await form.getByLabel('order').fill(order);
  await form.getByRole('button').click();
  await page.locator('saga-orders tbody tr', {hasText: order}).filter({hasText: 'CANCELLING'}).waitFor();
};

steps['it is started, and all drains'] = async () => {
  await service('payment').getByRole('button', {name: 'start'}).click();
  await page.locator('saga-purpose', {hasText: 'Nothing is wrong on purpose'}).waitFor();
  await until(() => shop.lanes().every((name) => lanes.behind(name) === 0));
  await until(() => lanes.dots.every((dot) => lanes.passed(dot)));
  await page.locator('saga-orders .stuck', {hasText: 'none'}).waitFor();
};

steps['all lights of a check that began later are green'] = async () => {
  const now = Date.now();
  await until((after) => shop.last.check.at > after && shop.last.check.code === 0, now);
  must(await page.locator('saga-promises li.good').count() >= 10, 'few lights');
  same(0, await page.locator('saga-promises li.bad').count());
};

// A page elsewhere, which knows even the token.
const attacks = {
  'a fetch with the token': async (evil) => same('TypeError', await evil.evaluate(([at, token]) =>
    fetch(`${at}/run`, {
      method: 'POST',
      headers: {'Content-Type': 'application/json', 'Authorization': `Bearer ${token}`},
      body: '{"words":["place","widget:1","--customer","alice","--id","o-forged"]}',
    }).then(() => 'answered', (error) => error.name), [origin, token])),
  'a form that is sent unasked': async (evil) => {
    const sent = evil.waitForResponse((response) => response.url() === `${origin}/run`);
    await evil.evaluate((at) => {
      document.body.innerHTML = `<form method=post enctype=text/plain action="${at}/run">
        <input name='{"words":["place","widget:1","--customer","alice","--id","o-forged"],"x":"'
        value='"}'></form>`;
      document.forms[0].submit();
    }, origin);
    same(403, (await sent).status());
  },
  'a name that leads here': async (evil) =>
    same(403, (await evil.goto(`http://evil.example:${port}/`)).status()),
  'a frame around the page': async (evil) => {
    await evil.evaluate((at) => new Promise((done) => {
      const frame = document.createElement('iframe');
      frame.onload = done;
      frame.src = `${at}/`;
      document.body.replaceChildren(frame);
    }), origin);
    same(0, await evil.frameLocator('iframe').locator('saga-lanes').count());
  },
};

steps['four forged requests of another page are refused'] = async () => {
  const elsewhere = createServer((request, answer) =>
    answer.setHeader('Content-Type', 'text/html').end('<!doctype html><title>evil</title><body>'));
  await new Promise((done) => elsewhere.listen(0, '127.0.0.1', done));
  try {
    for (const [name, attack] of Object.entries(attacks)) {
      const evil = await browser.newPage();
      evil.setDefaultTimeout(PATIENCE_MS);
      await evil.goto(`http://127.0.0.1:${elsewhere.address().port}/`);
      try {
        await attack(evil);
      } catch (error) {
        throw new Error(`${name}: ${error.message}`);
      }
      await evil.close();
    }
  } finally {
    elsewhere.close(); // or this process would go on
    elsewhere.closeAllConnections();
  }
  same(undefined, show('o-forged'));
};

for (const width of [360, 1280])
  steps[`axe finds no violation, and nothing sticks out, at ${width} pixels`] = async () => {
    const order = await page.locator('saga-orders tbody button').first().textContent();
    const other = await visit(width, link);
    await live(other);
    await other.locator('saga-promises li').first().waitFor();
    await other.locator('saga-orders tbody button', {hasText: order}).click();
    await other.locator('saga-trace .node').first().waitFor();
    await other.evaluate(axe);
    const {violations} = await other.evaluate(() => window.axe.run());
    must(violations.length === 0, violations.map(({id, nodes}) =>
      `${id}: ${nodes.map(({html}) => html).join(' ')}`).join('\n'));
    same(0, await other.evaluate(() => Math.max(0, document.documentElement.scrollWidth - innerWidth)));
    await other.context().close();
  };

steps['the page has asked nobody else, and has had no error'] = () => {
  same(origin, [...asked].join(' '));
  same('', errors.join('\n'));
};

let failed = false;
for (const [sentence, step] of Object.entries(steps)) {
  try {
    if (!failed) await step();
    console.log(failed ? `not ok - ${sentence} (one before it failed)` : `ok - ${sentence}`);
  } catch (error) {
    failed = true;
    console.error(error);
    if (page) console.error(await page.locator('body').innerText());
    console.log(`not ok - ${sentence}`);
  }
}
await browser.close();
process.exitCode = failed ? 1 : 0;
