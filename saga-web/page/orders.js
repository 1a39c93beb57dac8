// orders.js - do something, and what has come of it: the newest orders, those
// that have not ended first, each with what it waits for.
import {button, show} from './panels.js';
import {make, shop, typed} from './shop.js';

const NEWEST = 12;
const BURST_MAX = 200;

// A form whose words are those of one command.
function form(name, fields, words, done) {
  const inputs = fields.map(([label, value, attributes]) => make('input',
    {'aria-label': label, placeholder: label, value, size: Math.max(6, label.length), ...attributes}));
  const hint = make('code', {class: 'typed'});
  const now = () => words(...inputs.map((input) => input.value.trim()));
  const update = () => { hint.textContent = typed(...now()); };
  const element = make('form', {
    onsubmit: async (event) => {
      event.preventDefault();
      done(await shop.run(...now()), now());
    },
    oninput: update,
  }, make('button', {}, name), ' ', ...inputs.flatMap((input) => [input, ' ']), hint);
  update();
  return element;
}

class Do extends HTMLElement {
  connectedCallback() {
    this.said = make('p', {role: 'status', class: 'note'});
    const done = (answer, words) => {
      this.said.textContent = answer.code === 0 ? `done: ${typed(...words)}`
        : `${answer.said?.error ?? JSON.stringify(answer.said)} (exit code ${answer.code})`;
      if (answer.said?.order) shop.say('chosen', answer.said.order);
      shop.say('ran', {words, answer});
    };
    this.append(
      form('place', [['sku:quantity', 'widget:1'], ['customer', 'alice']],
        (items, customer) => ['place', ...items.split(/\s+/), '--customer', customer], done),
      form('cancel', [['order', '']], (order) => ['cancel', order], done),
      form('receive', [['sku', 'widget'], ['pieces', '10']], (sku, pieces) => ['stock', sku, pieces], done),
      form('deposit', [['customer', 'bob'], ['amount', '50.00']], (who, amount) => ['fund', who, amount], done),
      this.burst(), this.fault(done), this.said);
  }

  // One after another, without waiting for how they end.
  burst() {
    const count = make('input', {
      'aria-label': 'how many', type: 'number', min: 1, max: BURST_MAX, value: 20,
    });
    return make('form', {
      onsubmit: async (event) => {
        event.preventDefault();
        const many = Math.min(BURST_MAX, Number(count.value) || 0);
        let placed = 0;
        for (let i = 0; i < many; i++) {
          const answer = await shop.run('place', 'gizmo:1', '--customer', 'alice', '--no-wait');
          if (answer.code === 0) placed++;
          this.said.textContent = `placed ${placed} of ${many}`;
        }
      },
    }, make('button', {}, 'burst'), ' ', count, ' ',
    make('code', {class: 'typed'}, typed('place', 'gizmo:1', '--customer', 'alice', '--no-wait')));
  }

  // The points come from the services, once somebody wants one.
  fault(done) {
    const service = make('select', {'aria-label': 'service'});
    const point = make('select', {'aria-label': 'fault point'});
    const times = make('input', {'aria-label': 'times', type: 'number', min: 1, value: 1});
    const hint = make('code', {class: 'typed'});
    const words = () => ['fault', 'set', service.value, point.value, '--times', times.value];
    const update = () => { hint.textContent = typed(...words()); };
    const load = async () => {
      const answer = await shop.run('fault', 'ls', service.value);
      const faults = Object.values(answer.said ?? {})[0]?.faults ?? [];
      point.replaceChildren(...faults.map((one) =>
        make('option', {value: one.point}, `${one.point}: ${one.what}`)));
      update();
    };
    shop.on('services', (services) => show(service, services.map((one) => one.name).join(), () =>
      services.map((one) => make('option', {}, one.name))));
    service.addEventListener('change', load);
    service.addEventListener('focus', () => point.length === 0 && load());
    point.addEventListener('focus', () => point.length === 0 && load());
    return make('form', {
      oninput: update,
      onsubmit: async (event) => {
        event.preventDefault();
        if (point.length === 0) await load();
        done(await shop.run(...words()), words());
      },
    }, make('button', {}, 'arm fault'), ' ', service, ' ', point, ' ', times, ' ', hint);
  }
}

class Orders extends HTMLElement {
  connectedCallback() {
    this.stuck = make('ul', {class: 'stuck'});
    this.list = make('tbody');
    this.append(make('h3', {}, 'Not ended'), this.stuck, make('h3', {}, 'Newest'),
      make('table', {}, make('thead', {}, make('tr', {},
        ...['order', 'customer', 'status'].map((text) => make('th', {scope: 'col'}, text)))), this.list),
      make('p', {class: 'typed'}, typed('ls', '--limit', NEWEST)));
    shop.on('tick', ({events}) => { this.due ||= events.length > 0; });
    shop.on('ran', () => { this.due = true; });
    setInterval(() => this.look(), 1000);
    this.due = true;
  }

  // Once a second at most, and only if something has happened.
  async look() {
    if (!this.due || this.looking || document.hidden || shop.last.connection !== 'live') return;
    this.looking = true;
    this.due = false;
    const orders = [];
    const newest = await shop.run('ls', '--limit', NEWEST);
    for (const status of ['PENDING', 'CANCELLING']) {
      const answer = await shop.run('ls', '--status', status, '--limit', 5);
      orders.push(...answer.said?.orders ?? []);
    }
    this.update(newest.said?.orders ?? []);
    await this.whys(orders);
    this.due ||= orders.length > 0;
    this.looking = false;
  }

  update(orders) {
    show(this.list, JSON.stringify(orders), () => orders.map((one) => make('tr', {},
      make('td', {}, make('button', {
        class: 'link', onclick: () => shop.say('chosen', one.order),
      }, one.order)),
      make('td', {}, one.customer),
      make('td', {class: one.status === 'CANCELLED' ? 'back' : ''}, one.status,
        one.reason ? `: ${one.reason}` : ''))));
  }

  async whys(orders) {
    const whys = [];
    for (const one of orders) whys.push((await shop.run('why', one.order)).said);
    const now = Date.now();
    show(this.stuck, JSON.stringify(whys) + (orders.length > 0 ? Math.floor(now / 1000) : ''), () =>
      orders.length === 0 ? [make('li', {}, 'none')] : orders.map((one, i) => make('li', {},
        make('button', {class: 'link', onclick: () => shop.say('chosen', one.order)}, one.order),
        ` ${one.status} for ${Math.round((now - one.placed_ms) / 1000)} s. `,
        ...(whys[i]?.waits ?? []).map((wait) => `Waits for ${wait.service}: ${wait.for} ` +
          `(${wait.state}). `),
        whys[i]?.deadline_ms ? `Its deadline is in ${Math.max(0, Math.round((whys[i].deadline_ms - now) / 1000))} s. ` : '',
        shop.last.about?.read_only ? '' : button('cancel', ['cancel', one.order]),
        ' ', make('code', {class: 'typed'}, typed('why', one.order)))));
  }
}

customElements.define('saga-do', Do);
customElements.define('saga-orders', Orders);
