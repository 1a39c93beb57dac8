// trace.js - one saga as a picture: a column for each service, a row for each
// event, an arrow from its cause, a dashed one to what it undoes.  What is
// still awaited stands below as a ghost.
import {show} from './panels.js';
import {make, shop, typed} from './shop.js';

const ROW_PX = 44;
const TOP_PX = 30;
const WIDTH = 600;

class Trace extends HTMLElement {
  connectedCallback() {
    this.said = make('p', {role: 'status'}, 'Choose an order: in the lanes, in the list, or here.');
    this.input = make('input', {'aria-label': 'order', placeholder: 'order'});
    this.picture = make('div');
    this.payload = make('pre', {class: 'payload', tabindex: 0, 'aria-label': 'payload', hidden: true});
    this.hint = make('p', {class: 'typed'});
    this.append(make('form', {
      onsubmit: (event) => {
        event.preventDefault();
        this.choose(this.input.value.trim());
      },
    }, this.input, ' ', make('button', {}, 'trace')), this.said, this.picture, this.payload, this.hint);
    shop.on('chosen', (id) => this.choose(id));
    shop.on('tick', ({events}) => {
      this.due ||= events.some((event) => event.order === this.id);
    });
    setInterval(() => this.due && !this.looking && this.look(), 500);
  }

  choose(id) {
    this.id = id;
    this.input.value = id;
    this.hint.textContent = typed('trace', id);
    this.payload.hidden = true;
    this.look();
  }

  async look() {
    this.due = false;
    this.looking = true;
    const {id} = this;
    const {code, said} = await shop.run('trace', id);
    this.looking = false;
    if (id !== this.id) return;
    this.said.textContent = code !== 0 ? said?.error ?? 'no answer'
      : `${id} · ${said.status}${said.reason ? `: ${said.reason}` : ''} · ${said.events.length} events`;
    show(this.picture, JSON.stringify([code, said, shop.lanes()]), () => code === 0 ? [this.draw(said)] : []);
  }

  draw({events, unanswered}) {
    const names = shop.lanes();
    const x = (name) => WIDTH * (names.indexOf(name) + 0.5) / names.length;
    const y = (n) => TOP_PX + n * ROW_PX;
    const rows = events.length + unanswered.length;
    const svg = make('svg:svg', {viewBox: `0 0 ${WIDTH} ${y(rows) + 12}`, role: 'group', 'aria-label': 'events of the saga'});
    svg.append(make('svg:defs', {}, make('svg:marker', {
      id: 'head', viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: 'auto',
    }, make('svg:path', {d: 'M0 0 8 4 0 8z', class: 'head'}))));
    for (const name of names)
      svg.append(make('svg:line', {x1: x(name), x2: x(name), y1: 20, y2: y(rows), class: 'lane'}),
        make('svg:text', {x: x(name), y: 14, class: 'name'}, name));
    const arrow = (from, to, kind) => {
      const side = kind === 'undoes' ? -70 : 0;
      const [x1, y1, x2, y2] = [x(from.source), y(from.n), x(to.source), y(to.n)];
      svg.append(make('svg:path', {
        d: side ? `M${x1 - 8} ${y1}C${x1 + side} ${y1} ${x2 + side} ${y2} ${x2 - 8} ${y2}` : `M${x1} ${y1}L${x2} ${y2 - 9}`,
        class: `arrow ${kind}`, 'marker-end': 'url(#head)',
      }));
    };
    for (const event of events) {
      if (event.because > 0) arrow(events[event.because - 1], event, 'because');
      if (event.undoes > 0) arrow(event, events[event.undoes - 1], 'undoes');
    }
    for (const event of events) svg.append(this.node(event, events[0], x, y));
    unanswered.forEach((gap, i) => {
      const at = {source: gap.service, n: events.length + 1 + i};
      arrow(events[gap.event - 1], at, 'ghost');
      svg.append(make('svg:circle', {cx: x(at.source), cy: y(at.n), r: 6, class: 'ghost'}),
        make('svg:text', {x: x(at.source), y: y(at.n) + 18, class: 'ghost'},
          gap.ignored ? 'nothing to do' : `${gap.for}?`));
    });
    return svg;
  }

  // The payload, and the states that the event has changed: of the order, and of
  // the customer and the products that it names.
  async open(event, label) {
    const {data} = event;
    const said = [label, JSON.stringify(data, null, 1)];
    this.opened = event;
    this.payload.hidden = false;
    this.payload.textContent = said.join('\n');
    const subjects = [event.order, data?.customer && `customer:${data.customer}`,
      ...(data?.lines ?? []).map((line) => `sku:${line.sku}`)].filter(Boolean);
    for (const subject of new Set(subjects)) {
      const [before, after] = [await this.state(event, subject, 1), await this.state(event, subject, 0)];
      if (this.opened !== event) return;
      if (before === after) continue;
      said.push(`${subject} before: ${before}`, `${subject} after: ${after}`,
        typed('show', subject, '--at', `${event.source}:${event.seq}`));
      this.payload.textContent = said.join('\n');
    }
  }

  // As its service knew it @back events before @event; 'none' if there was none.
  async state(event, subject, back) {
    const {code, said} = await shop.run('show', subject, '--at', `${event.source}:${event.seq - back}`);
    return code === 0 ? JSON.stringify(said.states[0].state) : 'none';
  }

  node(event, first, x, y) {
    const back = event.undoes > 0;
    const [at, top] = [x(event.source), y(event.n)];
    const label = `${event.n} ${event.source} ${event.type}, ${event.time_ms - first.time_ms} ms` +
      `${event.because ? `, because of ${event.because}` : ''}${back ? `, undoes ${event.undoes}` : ''}`;
    const open = () => this.open(event, label);
    return make('svg:g', {
      tabindex: 0, role: 'button', 'aria-label': label, class: back ? 'node back' : 'node', onclick: open,
      onkeydown: (key) => (key.key === 'Enter' || key.key === ' ') && (key.preventDefault(), open()),
    }, back ? make('svg:path', {d: `M${at} ${top - 7}l7 7-7 7-7-7z`}) : make('svg:circle', {cx: at, cy: top, r: 6}),
    make('svg:text', {x: at, y: top + 20, class: 'type'}, event.type));
  }
}

customElements.define('saga-trace', Trace);
