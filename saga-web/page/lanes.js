// lanes.js - the services as lanes, and each event as a dot between them.
//
// A dot leaves its writer's lane when the event is committed, and arrives at a
// reader's when that reader's cursor has passed it.  Until then it waits before
// the lane.  Each saga has a row.  A compensation is a diamond.  Flights are
// slowed to half a second, so that they can be seen; arriving is never ahead of
// the cursor.
import {make, plural, shop, typed} from './shop.js';

const FLIGHT_MS = 500;
const FADE_MS = 700;
const ROWS = 14;
const DOTS_MAX = 1200;
const ROW_PX = 17;
const HEAD_PX = 46;
const RECENT = 8;

class Lanes extends HTMLElement {
  dots = [];
  rows = new Map(); // saga -> row
  row = 0;
  undrawn = 0;
  cursors = {}; // reader -> source -> seq
  heads = {};
  marks = []; // what happened to frames
  counts = {};
  recent = [];

  connectedCallback() {
    this.canvas = make('canvas', {role: 'img', 'aria-label': 'the services as lanes'});
    this.note = make('p', {class: 'note'});
    this.list = make('ol', {class: 'recent', 'aria-label': 'newest events'});
    this.append(this.canvas, make('p', {class: 'legend'},
      '● event   ◆ compensation   ○ waits for its reader   ⟳ fetched again   ✂ lost   2× twice'),
    this.note, this.list, make('p', {class: 'typed'}, typed('log', '--all', '--follow')));
    this.still = matchMedia('(prefers-reduced-motion: reduce)');
    shop.on('tick', (tick) => this.take(tick));
    shop.on('services', (services) => this.look(services));
    shop.on('missed', (count) => { this.undrawn += count; });
    shop.on('connection', () => { this.dots = []; });
    new ResizeObserver(() => this.resize()).observe(this);
    const draw = (now) => {
      this.draw(now);
      requestAnimationFrame(draw);
    };
    requestAnimationFrame(draw);
    setInterval(() => this.describe(), 2000);
  }

  resize() {
    const scale = devicePixelRatio || 1;
    this.width = this.clientWidth;
    this.height = HEAD_PX + ROWS * ROW_PX + 12;
    this.canvas.width = this.width * scale;
    this.canvas.height = this.height * scale;
    this.canvas.style.height = `${this.height}px`;
    this.scale = scale;
  }

  rowOf(saga) {
    let row = this.rows.get(saga);
    if (row === undefined) {
      row = this.row++ % ROWS;
      this.rows.set(saga, row);
      if (this.rows.size > 4 * ROWS) this.rows.delete(this.rows.keys().next().value);
    }
    return row;
  }

  take({logs, events}) {
    for (const [name, log] of Object.entries(logs)) {
      this.heads[name] = log?.head ?? 0;
      this.undrawn += log?.skipped ?? 0;
      this.cursors[name] = {};
      for (const [source, at] of Object.entries(log?.cursors ?? {}))
        this.cursors[name][source] = at.seq;
    }
    events.sort((a, b) => a.time_ms - b.time_ms);
    for (const event of events) this.add(event);
    if (events.length > 0) this.show(events);
  }

  // Behind the dot of its cause, if that is still under way.
  add(event) {
    const now = performance.now();
    const cause = event.cause ?? {};
    const before = this.dots.find((dot) => dot.to === event.source &&
      dot.from === cause.source && dot.seq === cause.seq);
    const begun = Math.max(now, before && this.passed(before) ? before.begun + FLIGHT_MS : now);
    const readers = shop.readers(event.type);
    if (this.dots.length > DOTS_MAX) {
      this.undrawn++;
      return;
    }
    for (const to of readers.length > 0 ? readers : [event.source])
      this.dots.push({
        from: event.source, to, seq: event.seq, begun, saga: event.order,
        row: event.order ? this.rowOf(event.order) : 0,
        back: shop.undoes(event.type) !== undefined, type: event.type,
      });
  }

  passed(dot) {
    return dot.to === dot.from || (this.cursors[dot.to]?.[dot.from] ?? 0) >= dot.seq;
  }

  // What the readers have counted since the last look.
  look(services) {
    for (const {name, status} of services)
      for (const feed of status?.feeds ?? []) {
        const key = `${name}<${feed.source}`;
        const old = this.counts[key];
        this.counts[key] = feed.counts;
        for (const [count, sign] of [['gaps', '✂'], ['duplicates', '2×'], ['pulls', '⟳']]) {
          const more = old ? feed.counts[count] - old[count] : 0;
          if (more > 0)
            this.marks.push({at: performance.now(), name, text: `${sign} ${more} from ${feed.source}`});
        }
      }
  }

  show(events) {
    this.recent = [...events].reverse().concat(this.recent).slice(0, RECENT);
    this.list.replaceChildren(...this.recent.map((event) => make('li', {},
      make('b', {}, event.source), ` ${event.type} `,
      event.order ? make('button', {
        class: 'link', onclick: () => shop.say('chosen', event.order),
      }, event.order) : '')));
  }

  behind(name) {
    const table = (shop.last.tables ?? []).find((one) => one.name === name);
    return (table?.listens_to ?? []).reduce((sum, source) => sum +
      Math.max(0, (this.heads[source] ?? 0) - (this.cursors[name]?.[source] ?? 0)), 0);
  }

  describe() {
    const said = shop.lanes().map((name) => {
      const process = shop.last.services?.find((one) => one.name === name)?.process;
      return `${name} ${process ?? ''}: ${plural(this.heads[name] ?? 0, 'event')}, ` +
        `${this.behind(name)} behind`;
    }).join('; ');
    this.canvas.setAttribute('aria-label', said);
    this.note.textContent = this.undrawn > 0
      ? `${plural(this.undrawn, 'event')} counted, not drawn: more than 40 in a tenth of a second` : '';
  }

  draw(now) {
    if (!this.width || this.hidden || document.hidden) return;
    const c = this.canvas.getContext('2d');
    const style = getComputedStyle(this);
    const ink = style.getPropertyValue('--ink');
    const colours = {forward: style.getPropertyValue('--forward'), back: style.getPropertyValue('--back')};
    const names = shop.lanes();
    const x = {};
    names.forEach((name, i) => { x[name] = this.width * (i + 0.5) / names.length; });
    c.setTransform(this.scale, 0, 0, this.scale, 0, 0);
    c.clearRect(0, 0, this.width, this.height);
    c.font = '14px system-ui, sans-serif';
    c.textAlign = 'center';
    for (const name of names) this.drawLane(c, name, x[name], ink, style, now);
    const waiting = {};
    this.dots = this.dots.filter((dot) => this.drawDot(c, dot, x, colours, waiting, now));
  }

  drawLane(c, name, x, ink, style, now) {
    const process = shop.last.services?.find((one) => one.name === name)?.process ?? 'runs';
    const behind = this.behind(name);
    c.fillStyle = ink;
    c.strokeStyle = process === 'runs' ? ink : style.getPropertyValue('--bad');
    c.setLineDash(process === 'runs' ? [] : [4, 5]);
    c.lineWidth = 2;
    c.beginPath();
    c.moveTo(x, HEAD_PX - 6);
    c.lineTo(x, this.height);
    c.stroke();
    c.setLineDash([]);
    c.fillText(process === 'runs' ? name : `${name}: ${process}`, x, 15);
    c.fillText(`${this.heads[name] ?? 0}${behind > 0 ? `, ${behind} behind` : ''}`, x, 33);
    this.marks = this.marks.filter((mark) => now - mark.at < 3000);
    this.marks.filter((mark) => mark.name === name).slice(-4)
      .forEach((mark, i) => c.fillText(mark.text, x, this.height - 4 - i * 16));
  }

  // False: it has arrived, and faded.
  drawDot(c, dot, x, colours, waiting, now) {
    if (!(dot.from in x) || !(dot.to in x)) return false;
    const passed = this.passed(dot);
    let part = this.still.matches ? 1 : Math.min(1, Math.max(0, (now - dot.begun) / FLIGHT_MS));
    let hollow = false;
    if (now < dot.begun) return true;
    if (!passed && part === 1) {
      const key = `${dot.to} ${dot.from} ${dot.row}`;
      waiting[key] = (waiting[key] ?? 0) + 1;
      hollow = true;
    }
    if (passed && part === 1 && dot.arrived === undefined) dot.arrived = now;
    if (dot.arrived !== undefined && now - dot.arrived > FADE_MS) return false;
    const toward = Math.sign(x[dot.to] - x[dot.from]) || 1;
    const goal = x[dot.to] - (hollow ? toward * (10 + 9 * Math.min(12, waiting[`${dot.to} ${dot.from} ${dot.row}`])) : 0);
    const at = x[dot.from] + (goal - x[dot.from]) * part;
    const y = HEAD_PX + dot.row * ROW_PX + ROW_PX / 2;
    c.globalAlpha = dot.arrived === undefined ? 1 : 1 - (now - dot.arrived) / FADE_MS;
    c.fillStyle = c.strokeStyle = dot.back ? colours.back : colours.forward;
    c.beginPath();
    if (dot.back) {
      c.moveTo(at, y - 6);
      c.lineTo(at + 6, y);
      c.lineTo(at, y + 6);
      c.lineTo(at - 6, y);
      c.closePath();
    } else {
      c.arc(at, y, 4.5, 0, 7);
    }
    if (hollow) c.stroke();
    else c.fill();
    c.globalAlpha = 1;
    return true;
  }
}

customElements.define('saga-lanes', Lanes);
