// shop.js - what the page knows, and how it asks: one stream, one command.
//
// Each kind of news (about, tables, services, check, tick, missed) becomes an
// event of `shop`, and the last of each kind stays in `shop.last`.

const KEY = 'saga-token';

class Shop extends EventTarget {
  last = {};
  token = '';

  // The token comes with the link, and stays in this tab alone.
  takeToken() {
    const given = location.hash.slice(1);
    if (/^[0-9a-f]{32}$/.test(given)) {
      sessionStorage.setItem(KEY, given);
      history.replaceState(null, '', location.pathname);
    }
    this.token = sessionStorage.getItem(KEY) ?? '';
  }

  setToken(text) {
    sessionStorage.setItem(KEY, text.slice(text.indexOf('#') + 1).trim());
    this.takeToken();
  }

  say(kind, value) {
    this.last[kind] = value;
    this.dispatchEvent(new CustomEvent(kind, {detail: value}));
  }

  fetch(path, options = {}) {
    return fetch(path, {
      ...options,
      credentials: 'omit',
      headers: {...options.headers, Authorization: `Bearer ${this.token}`},
    });
  }

  // Follows the stream for ever.
  async follow() {
    for (;;) {
      try {
        const state = await this.fetch('/state');
        if (state.status === 401) {
          this.say('connection', 'refused');
          return;
        }
        for (const [kind, value] of Object.entries(await state.json()))
          this.say(kind, value);
        await this.read(await this.fetch('/stream'));
      } catch {
        // It has stopped, or was started anew: both are tried again.
      }
      this.say('connection', 'lost');
      await new Promise((done) => setTimeout(done, 1000));
    }
  }

  async read(response) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    this.say('connection', 'live');
    for (;;) {
      const {value, done} = await reader.read();
      if (done) return;
      text += value;
      const events = text.split('\n\n');
      text = events.pop();
      for (const event of events)
        for (const [kind, said] of Object.entries(JSON.parse(event.slice(6))))
          this.say(kind, said);
    }
  }

  // Runs `saga WORDS`; returns {code, said}, or {code: -1, said} if it was
  // refused.
  async run(...words) {
    let answer;
    try {
      const response = await this.fetch('/run', {
        method: 'POST',
        headers: {'Content-Type': 'application/json'},
        body: JSON.stringify({words: words.map(String)}),
      });
      answer = await response.json();
      if (!response.ok) answer = {code: -1, said: answer};
    } catch {
      answer = {code: -1, said: {error: 'saga-web does not answer'}};
    }
    return answer;
  }

  on(kind, heard) {
    this.addEventListener(kind, (event) => heard(event.detail));
    if (kind in this.last) heard(this.last[kind]);
  }

  // The services, the one that opens a saga first, then who reacts to it.
  lanes() {
    const tables = this.last.tables ?? [];
    const names = (this.last.services ?? []).map((one) => one.name);
    const writer = {};
    for (const table of tables)
      for (const rule of table.rules)
        for (const type of rule.may_emit) writer[type] = table.name;
    const opens = tables.find((table) => table.messages.some(
      (message) => message.saga === 'opens' &&
        table.rules.some((rule) => rule.on === message.name)));
    const found = opens ? [opens.name] : [];
    for (let i = 0; i < found.length; i++)
      for (const table of tables)
        if (!found.includes(table.name) &&
            table.rules.some((rule) => writer[rule.on] === found[i]))
          found.push(table.name);
    for (const name of names) if (!found.includes(name)) found.push(name);
    return found;
  }

  // Who has a rule for events of this type.
  readers(type) {
    return (this.last.tables ?? [])
      .filter((table) => table.rules.some((rule) => rule.on === type))
      .map((table) => table.name);
  }

  // The type that events of this type compensate, or undefined.
  undoes(type) {
    for (const table of this.last.tables ?? [])
      for (const message of table.messages)
        if (message.name === type && message.undoes) return message.undoes;
    return undefined;
  }
}

export const shop = new Shop();

// What to type for it, with the data directory if it is not the usual one.
export function typed(...words) {
  const program = words[0] === 'restart' ? './run.sh' : './saga';
  return [program, ...words].join(' ');
}

// An element with attributes and children; text is always text.
export function make(name, attributes = {}, ...children) {
  const element = name.startsWith('svg:')
    ? document.createElementNS('http://www.w3.org/2000/svg', name.slice(4))
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes))
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (value !== false && value !== undefined)
      element.setAttribute(key, value === true ? '' : value);
  element.append(...children.filter((child) => child !== undefined));
  return element;
}

export const plural = (count, word) => `${count} ${word}${count === 1 ? '' : 's'}`;
