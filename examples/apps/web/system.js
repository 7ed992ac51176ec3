// The status page: each part of the service is asked through the website's own address, every few seconds.
import { endpoints, pause } from "/room.js";

const SECONDS = 5, ANSWER_SECONDS = 4;
const table = document.getElementById("system"), counts = document.getElementById("system-counts");

async function json(path, options = {}) {
  const answer = await fetch(path, {...options, signal: AbortSignal.timeout(1000 * ANSWER_SECONDS)});
  const found = await answer.json();
  if (!answer.ok && !found.checks) throw new Error(`${answer.status}`);
  return found;
}

async function call(method) {
  const body = JSON.stringify({jsonrpc: "2.0", id: 1, method});
  const answer = await json("/rpc", {method: "POST", body});
  if (answer.error) throw new Error(answer.error.message);
  return answer.result;
}

// The health of a program, and of the daemons that it uses.
async function checked(path) {
  const found = await json(path);
  const bad = Object.entries(found.checks).filter(([, outcome]) => outcome !== "ok");
  if (bad.length) throw new Error(bad.map(([name, outcome]) => `${name}: ${outcome}`).join("; "));
  return `${Object.keys(found.checks).join(", ")} (answered by ${found.host})`;
}

function socket(end) {
  return new Promise((done, failed) => {
    const made = new WebSocket(end.url, "xmpp");
    const timer = setTimeout(() => { failed(new Error("no answer in time")); made.close(); }, 1000 * ANSWER_SECONDS);
    made.onopen = () => { clearTimeout(timer); made.close(); done("websocket"); };
    made.onerror = () => { clearTimeout(timer); failed(new Error("no connection")); };
  });
}

function picture(address) {
  return new Promise((done, failed) => {
    const image = new Image();
    image.onload = () => done(new URL(address).host);
    image.onerror = () => failed(new Error("no image"));
    image.src = `${address}?${Date.now()}`;
  });
}

const parts = {
  "Website and forum": () => checked("/health"),
  "RPC": () => checked("/rpc/health"),
  "Presence": () => checked("/status/health"),
  "Jabber": async () => socket((await endpoints("websocket"))[0]),
  "Static images": () => picture(table.dataset.image),
};

async function look([name, ask]) {
  const row = table.querySelector(`[data-part="${name}"]`), begin = performance.now();
  const [state, detail] = await ask().then(words => ["up", words], error => ["down", error.message]);
  row.dataset.state = state;
  const cells = row.querySelectorAll("td");
  cells[0].textContent = state;
  cells[1].textContent = `${Math.round(performance.now() - begin)} ms`;
  cells[2].textContent = detail;
}

async function count() {
  try {
    const [hosts, queue, presence] = await Promise.all([call("system.hosts"), call("queue.stats"), json("/status/")]);
    counts.textContent = `RPC runs on ${hosts.hosts.join(" and ")}. ${presence.online.length} on line. `
      + `Deliveries in the queue: ${queue.jobs["current-jobs-ready"] ?? 0}.`;
  } catch (error) { counts.textContent = `No figures: ${error.message}`; }
}

for (;;) {
  await Promise.all([...Object.entries(parts).map(look), count()]);
  await pause(SECONDS);
}
