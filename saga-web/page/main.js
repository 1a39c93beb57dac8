// main.js - opens the page: the token, the stream, and what is said of both.
import {shop} from './shop.js';
import './lanes.js';
import './panels.js';
import './orders.js';
import './trace.js';

const said = {
  live: 'live',
  lost: 'saga-web does not answer; trying again',
  refused: 'not the token of this start',
};
const line = document.getElementById('connection');
const main = document.querySelector('main');
const ask = document.getElementById('ask');

function open() {
  shop.takeToken();
  ask.hidden = shop.token !== '';
  if (shop.token === '') line.textContent = 'closed';
  else shop.follow();
}

shop.on('connection', (state) => {
  line.textContent = said[state];
  line.className = state === 'live' ? 'good' : 'bad';
  if (state === 'live') main.hidden = false;
  if (state === 'refused') ask.hidden = false;
});
shop.on('about', ({directory, version, read_only: readOnly}) => {
  line.title = `${directory}, version ${version}`;
  document.body.classList.toggle('read-only', readOnly);
});
ask.addEventListener('submit', (event) => {
  event.preventDefault();
  shop.setToken(document.getElementById('link').value);
  open();
});
addEventListener('hashchange', () => location.reload());
open();
