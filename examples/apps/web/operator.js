// The operators' console: log in with a Jabber account, see who is on line and which visitors wait, and answer.
// One connection for all chats. A lost connection is made again, and the open chats are entered again.
import { endpoints, first, named, pause } from "/room.js";
/* global Strophe, $iq, $msg, $pres */

const MUC = "http://jabber.org/protocol/muc", MUC_USER = MUC + "#user", INVITED = "jabber:x:conference";
const HISTORY = "50", PRESENCE_SECONDS = 60, LIST_SECONDS = 5, BOSH_SECONDS = 20;
const element = id => document.getElementById(id);
const login = element("operator-login"), desk = element("operator-desk"), form = element("operator-form");
const states = { waiting: "waiting", open: "open", ended: "ended" };

// Room address -> {state, since, people, messages, unread}. The order is that of the invitations.
const chats = new Map();
let connection = null, account = null, shown = null;

function make(name, content = "", className = "") {
  const made = document.createElement(name);
  made.textContent = content;
  if (className) made.className = className;
  return made;
}

const say = words => { element("operator-state").textContent = words; };
const clock = time => new Date(time).toLocaleTimeString([], {hour: "2-digit", minute: "2-digit"});
const nick = () => account.name;

function draw() {
  for (const [list, wanted] of [["operator-waiting", [states.waiting]], ["operator-chats", [states.open, states.ended]]]) {
    const rows = [...chats].filter(([, chat]) => wanted.includes(chat.state)).map(([room, chat]) => {
      const row = make("li"), button = make("button", `Visitor, ${clock(chat.since)}`, "plain");
      button.type = "button";
      button.dataset.room = room;
      button.addEventListener("click", () => open(room));
      row.append(button);
      if (chat.state === states.ended) row.append(make("small", " ended"));
      else if (chat.unread) row.append(make("small", ` ${chat.unread} new`, "news"));
      return row;
    });
    element(list).replaceChildren(...(rows.length ? rows : [make("li", "none", "empty")]));
  }
  const chat = chats.get(shown);
  element("operator-chat").hidden = !chat;
  if (!chat) return;
  element("operator-people").textContent = chat.state === states.ended ? "The chat has ended."
    : chat.people.size ? `${[...chat.people].join(", ")} ${chat.people.size === 1 ? "is" : "are"} here` : "The visitor has left.";
  form.hidden = chat.state === states.ended;
  element("operator-log").replaceChildren(...chat.messages.map(message => {
    const row = make("div", "", message.nick === nick() ? "message mine" : "message");
    const head = make("small", `${message.nick === nick() ? "You" : message.nick} ${clock(message.time)}`);
    row.append(head, make("div", message.text, "words"));
    return row;
  }));
  element("operator-log").scrollTop = element("operator-log").scrollHeight;
}

function open(room) {
  const chat = chats.get(room);
  shown = room;
  chat.unread = 0;
  if (chat.state === states.waiting) enter(room);
  draw();
  form.elements.text.focus();
}

function enter(room) {
  const chat = chats.get(room);
  chat.state = states.open;
  chat.messages.length = 0;
  chat.people.clear();
  connection.send($pres({to: `${room}/${nick()}`}).c("x", {xmlns: MUC}).c("history", {maxstanzas: HISTORY}));
}

// An invitation counts while its room is there; operators get those of the time when they were away, too.
function invited(room, time) {
  if (chats.has(room)) return;
  const query = $iq({type: "get", to: room}).c("query", {xmlns: Strophe.NS.DISCO_INFO});
  connection.sendIQ(query, () => {
    chats.set(room, {state: states.waiting, since: time, people: new Set(), messages: [], unread: 0});
    draw();
  }, () => {});
}

function message(stanza) {
  const from = stanza.getAttribute("from") || "", time = (first(stanza, "delay") || stanza).getAttribute("stamp");
  const invitation = named(stanza, "x").find(x => x.getAttribute("xmlns") === INVITED);
  if (invitation) invited(invitation.getAttribute("jid"), time || new Date().toISOString());
  const chat = chats.get(Strophe.getBareJidFromJid(from)), body = first(stanza, "body");
  const sender = Strophe.getResourceFromJid(from);
  if (stanza.getAttribute("type") !== "groupchat" || !chat || !body || !sender) return;
  chat.messages.push({nick: sender, text: body.textContent, time: time || new Date().toISOString()});
  if (shown !== Strophe.getBareJidFromJid(from)) chat.unread++;
  draw();
}

function presence(stanza) {
  const from = stanza.getAttribute("from") || "", chat = chats.get(Strophe.getBareJidFromJid(from));
  const who = Strophe.getResourceFromJid(from), type = stanza.getAttribute("type");
  if (!chat) return;
  const codes = named(stanza, "status").map(status => status.getAttribute("code"));
  // 201: the room was gone, and entering made another one of that name, which is not the chat.
  if (codes.includes("201")) connection.send($pres({to: from, type: "unavailable"}));
  if (type === "error" || codes.includes("201") || first(stanza, "destroy")) chat.state = states.ended;
  else if (who && who !== nick()) chat.people[type === "unavailable" ? "delete" : "add"](who);
  draw();
}

async function online() {
  const answer = await (await fetch("/status/")).json();
  const rows = answer.online.map(one => make("li", `${one.user} (${one.presence})`));
  element("operator-online").replaceChildren(...(rows.length ? rows : [make("li", "nobody", "empty")]));
}

const announce = presence => fetch(`/status/${account.name}`, {method: "PUT", body: JSON.stringify({presence})});

async function every(seconds, action) {
  while (account) {
    try { await action(); } catch { say("The website does not answer. Trying again …"); }
    await pause(seconds);
  }
}

// One connection, from its start to its end. Resolves with whether it was ever up; rejects for a wrong password.
function session(end) {
  return new Promise((done, refused) => {
    let worked = false;
    // Without TLS browsers have no cryptography for anything but a password in the clear.
    const mechanisms = window.isSecureContext ? undefined : [Strophe.SASLPlain];
    connection = new Strophe.Connection(end.url, {mechanisms});
    connection.maxRetries = 1;
    const take = method => stanza => { method(stanza); return true; };
    connection.connect(account.jid, account.password, status => {
      if (status === Strophe.Status.AUTHFAIL) refused(new Error("The account or the password is wrong."));
      if ([Strophe.Status.CONNFAIL, Strophe.Status.DISCONNECTED].includes(status)) done(worked);
      if (status !== Strophe.Status.CONNECTED) return;
      worked = true;
      connection.addHandler(take(message), null, "message");
      connection.addHandler(take(presence), null, "presence");
      connection.send($pres());
      login.hidden = true;
      desk.hidden = false;
      say(`You are on line as ${account.jid}.`);
      announce("available").then(online).catch(() => {});
      for (const [room, chat] of chats) if (chat.state === states.open) enter(room);
      draw();
    }, BOSH_SECONDS);
  });
}

async function stayConnected() {
  const ends = await endpoints();
  for (let turn = 0; account; ) {
    const worked = await session(ends[turn % ends.length]);
    if (!account) break;
    if (!worked) turn++;
    say("The connection was lost. Connecting again …");
    await pause(1 + Math.random());
  }
}

login.addEventListener("submit", async event => {
  event.preventDefault();
  const name = login.elements.account.value.trim().split("@")[0];
  account = {name, jid: `${name}@${login.dataset.domain}`, password: login.elements.password.value};
  login.elements.password.value = "";
  element("operator-error").textContent = "";
  every(PRESENCE_SECONDS, () => connection && connection.authenticated && announce("available"));
  every(LIST_SECONDS, online);
  try {
    await stayConnected();
  } catch (error) {
    account = null;
    element("operator-error").textContent = error.message;
  }
});
form.addEventListener("submit", event => {
  event.preventDefault();
  const words = form.elements.text.value.trim();
  if (!words || !shown) return;
  connection.send($msg({to: shown, type: "groupchat", id: connection.getUniqueId()}).c("body").t(words));
  form.elements.text.value = "";
});
form.elements.text.addEventListener("keydown", event => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
});
element("operator-logout").addEventListener("click", async () => {
  const gone = announce("offline");
  account = null;
  connection.disconnect("");
  await gone;
  location.reload();
});
Strophe.setLogLevel(Strophe.LogLevel.FATAL);
