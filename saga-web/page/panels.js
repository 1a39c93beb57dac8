// panels.js - what is wrong on purpose, the promises, the services.
import {make, plural, shop, typed} from './shop.js';

const time = (ms) => new Date(ms).toLocaleTimeString();

// A button that runs a command; under it, or in its title, what to type.
export function button(text, words, done) {
  return make('button', {
    title: typed(...words),
    disabled: shop.last.about?.read_only,
    onclick: async (event) => {
      const {target} = event;
      target.setAttribute('aria-busy', 'true');
      const answer = await shop.run(...words);
      target.removeAttribute('aria-busy');
      done?.(answer);
      shop.say('ran', {words, answer});
    },
  }, text);
}

// Replaces what @element shows only if that is something else: buttons keep
// their focus.
export function show(element, key, children) {
  if (element.shown === key) return;
  element.shown = key;
  const focused = element.contains(document.activeElement)
    ? [...element.querySelectorAll('button')].indexOf(document.activeElement) : -1;
  element.replaceChildren(...children());
  if (focused >= 0) element.querySelectorAll('button')[focused]?.focus();
}

// Asked of the processes: what is armed, who is paused or dead.
class Purpose extends HTMLElement {
  connectedCallback() {
    this.setAttribute('role', 'status');
    shop.on('services', (services) => this.update(services));
  }

  update(services) {
    const wrong = [];
    for (const {name, process, faults} of services) {
      if (process !== 'runs') wrong.push(`${name} is ${process}`);
      for (const fault of faults ?? []) {
        const times = fault.times > 0 ? `, ${fault.fired} of ${fault.times}` : `, fired ${fault.fired}`;
        if (fault.times === 0 || fault.fired < fault.times)
          wrong.push(`${name}: ${fault.point} is armed${times}`);
      }
    }
    this.classList.toggle('wrong', wrong.length > 0);
    show(this, wrong.join(), () => wrong.length === 0
      ? ['Nothing is wrong on purpose: all run, and no fault is armed.']
      : [make('b', {}, 'Wrong on purpose: '), wrong.join(' · '),
        ...(services.some((one) => one.faults?.length) && !shop.last.about?.read_only
          ? [' ', button('clear all faults', ['fault', 'clear', '--all'])] : [])]);
  }
}

class Promises extends HTMLElement {
  connectedCallback() {
    this.lights = make('ul', {class: 'lights'});
    this.when = make('p', {class: 'note'}, 'The first check runs.');
    this.broken = make('div');
    this.append(this.broken, this.lights, this.when,
      make('p', {class: 'typed'}, typed('check')));
    shop.on('check', (check) => this.update(check));
  }

  update({said, at, took_ms: took, code}) {
    this.when.textContent = said?.invariants
      ? `As of ${time(at)}; it took ${took} ms.`
      : `At ${time(at)} it could not look (exit code ${code}). ${said?.error ?? ''}`;
    if (!said?.invariants) return;
    const looked = said.invariants.filter((one) => !one.skipped);
    show(this.lights, JSON.stringify(looked), () => looked.map((one) => make('li',
      {class: one.broken > 0 ? 'bad' : 'good'},
      `${one.broken > 0 ? '✗' : '✓'} ${one.id} `, one.promise,
      one.broken > 0 ? make('b', {}, `: ${plural(one.broken, 'violation')}`) : '')));
    show(this.broken, JSON.stringify(said.violations), () => said.violations.slice(0, 8)
      .map((one) => make('p', {class: 'bad'}, `${one.id} `,
        make('button', {class: 'link', onclick: () => shop.say('chosen', one.subject)}, one.subject),
        ` ${one.text} `, make('code', {class: 'typed'}, typed('trace', one.subject)))));
  }
}

class Services extends HTMLElement {
  connectedCallback() {
    this.cards = {};
    shop.on('services', (services) => {
      const lanes = shop.lanes();
      [...services].sort((a, b) => lanes.indexOf(a.name) - lanes.indexOf(b.name))
        .forEach((one) => this.update(one));
    });
    shop.on('tick', ({logs}) => { this.logs = logs; });
  }

  card(name) {
    const reads = make('dl');
    const buttons = make('p', {class: 'buttons'});
    const title = make('h3', {}, name);
    this.append(make('article', {}, title, reads, buttons));
    this.cards[name] = {title, reads, buttons};
    return this.cards[name];
  }

  facts({name, process, pid, status}) {
    const facts = [['process', pid ? `${process}, pid ${pid}` : process]];
    const log = this.logs?.[name];
    if (log) facts.push(['log', plural(log.head, 'event')]);
    for (const [source, at] of Object.entries(log?.cursors ?? {})) {
      const behind = (this.logs[source]?.head ?? at.seq) - at.seq;
      facts.push([`has read ${source}`, behind > 0 ? `${at.seq}, ${behind} behind` : `${at.seq}, all`]);
    }
    if (status) {
      facts.push(['read model', status.view.lag > 0 ? `${plural(status.view.lag, 'event')} behind` : 'up to date']);
      facts.push(['commits, syncs', `${status.counts?.commits ?? '-'}, ${status.syncs}`]);
      if (status.parked > 0) facts.push(['parked', `${status.parked} (${typed('parked', name)})`]);
    } else if (process === 'runs') {
      facts.push(['answer', 'none']);
    }
    return facts;
  }

  update(one) {
    const {name, process} = one;
    const card = this.cards[name] ?? this.card(name);
    const facts = this.facts(one);
    show(card.reads, JSON.stringify(facts), () => facts.flatMap(([term, fact]) =>
      [make('dt', {}, term), make('dd', {}, fact)]));
    card.title.className = process === 'runs' ? '' : 'bad';
    show(card.buttons, process, () => {
      const signal = (text, number) => button(text, ['signal', name, number]);
      if (process === 'runs') return [signal('kill -9', 'KILL'), ' ', signal('pause', 'STOP')];
      if (process === 'paused') return [signal('continue', 'CONT'), ' ', signal('kill -9', 'KILL')];
      if (process === 'down' && shop.last.about?.can_start) return [button('start', ['restart', name])];
      return [];
    });
  }
}

customElements.define('saga-purpose', Purpose);
customElements.define('saga-promises', Promises);
customElements.define('saga-services', Services);
