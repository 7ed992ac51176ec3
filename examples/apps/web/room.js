// A room of Jabber as a visitor without an account sees it, over websocket or BOSH. It keeps itself connected:
// it asks the room every few seconds whether it is still in it, joins again when it is not, and then fetches what
// it missed from the room's archive. A message is sent until the room has shown it, and is shown once.
/* global Strophe, $build, $iq, $msg, $pres */

// How long to connect, to wait for an answer, between two questions whether all is well, until the room shows a
// message, and between two attempts.
const CONNECT_SECONDS = 5, ANSWER_SECONDS = 4, ASK_SECONDS = 6, SHOW_SECONDS = 2, MOST_WAIT_SECONDS = 4;
// How long a file waits for the connection.
const FILE_SECONDS = 20;
// How long a BOSH request may be held.
const BOSH_SECONDS = 20;
const MUC = "http://jabber.org/protocol/muc", MAM = "urn:xmpp:mam:2", OOB = "jabber:x:oob";
const RSM = "http://jabber.org/protocol/rsm", UPLOAD = "urn:xmpp:http:upload:0", PING = "urn:xmpp:ping";
const GONE = ["item-not-found", "not-allowed", "gone", "forbidden", "registration-required"];
const NICK = "Visitor", MOST_NICKS = 9, PAGE = 100;

export const pause = seconds => new Promise(done => setTimeout(done, 1000 * seconds));
export const named = (parent, name) => parent ? [...parent.getElementsByTagName(name)] : [];
export const first = (parent, name) => named(parent, name)[0] || null;
const within = (seconds, promise) => Promise.race([
  promise, pause(seconds).then(() => { throw new Error("no answer in time"); })]);

// Not crypto.randomUUID, which pages without TLS do not have.
export function randomId() {
  return [...crypto.getRandomValues(new Uint8Array(12))].map(byte => byte.toString(16).padStart(2, "0")).join("");
}

// The addresses of Jabber, which the website tells (XEP-0156).
export async function endpoints(only) {
  const links = (await (await fetch("/.well-known/host-meta.json")).json()).links;
  const found = ["websocket", "xbosh"].map(kind => ({
    kind: kind === "xbosh" ? "bosh" : kind,
    url: (links.find(link => link.rel === "urn:xmpp:alt-connections:" + kind) || {}).href,
  }));
  return found.filter(end => end.url && (!only || end.kind === only));
}

export class Room {
  // chat: {room, domain, upload} as /rpc/chat gave it. pending: messages that the room has not shown yet.
  // show: {message, state, people, pending, ended}, called with what is new. transport: the only one to use.
  constructor(chat, {pending, show, transport}) {
    Object.assign(this, {chat, pending, show, transport, seen: new Set(), last: null, page: [], ended: false});
    this.people = new Set();
    this.drop = this.hurry = () => {};
    addEventListener("online", () => this.hurry());
  }

  async run() {
    let ends = [], turn = 0, wait = 0;
    while (!this.ended) {
      let worked = false;
      try {
        if (!ends.length) ends = await endpoints(this.transport);
        if (!ends.length) throw new Error("no address of Jabber");
        await this.session(ends[turn % ends.length], () => { worked = true; });
      } catch (error) {
        // A transport that does not work here: the other one is next.
        if (!worked) turn++;
        wait = worked || !wait ? 0.25 : Math.min(MOST_WAIT_SECONDS, 2 * wait);
      }
      this.joined = false;
      if (this.ended) break;
      this.show.state("reconnecting");
      await pause(wait * (0.75 + Math.random() / 2));
    }
  }

  // Keep a message until the room shows it, and send it as soon as that is possible.
  send(text, url = null) {
    const message = {id: randomId(), text, url};
    this.pending.push(message);
    this.show.pending(this.pending);
    if (this.joined) this.transmit(message);
  }

  // Ask for a place to put a file, put it there, and tell the room (XEP-0363, XEP-0066).
  async sendFile(file) {
    for (let left = 10 * FILE_SECONDS; !this.joined; left--) {
      if (!left || this.ended) throw new Error("there is no connection");
      await pause(0.1);
    }
    const type = file.type || "application/octet-stream";
    const request = $iq({type: "get", to: this.chat.upload})
      .c("request", {xmlns: UPLOAD, filename: file.name, size: file.size, "content-type": type});
    const slot = await this.ask(request), put = first(slot, "put"), get = first(slot, "get");
    const headers = {"Content-Type": type};
    for (const header of named(put, "header"))
      if (["Authorization", "Cookie", "Expires"].includes(header.getAttribute("name")))
        headers[header.getAttribute("name")] = header.textContent;
    const address = new URL(put.getAttribute("url"));
    // The same server under the page's own name: no other origin is asked.
    const done = await fetch(address.pathname + address.search, {method: "PUT", body: file, headers});
    if (!done.ok) throw new Error("the file was refused: " + done.status);
    this.send(get.getAttribute("url"), get.getAttribute("url"));
  }

  // For good: leave, and do not come back.
  end() {
    this.ended = true;
    this.drop();
  }

  // One connection, from its start to its end.
  async session(end, works) {
    const connection = this.connection = new Strophe.Connection(end.url);
    connection.maxRetries = 1;
    let drop;
    const lost = new Promise((done, failed) => { drop = () => failed(new Error("the connection ended")); });
    lost.catch(() => {});
    this.drop = drop;
    this.number = 1;
    // What comes late from an earlier connection is none of this one's business.
    const take = method => stanza => {
      // Strophe forgets a handler that throws.
      try {
        if (this.connection === connection) method.call(this, stanza);
      } catch (error) { console.error(error); }
      return true;
    };
    try {
      await within(CONNECT_SECONDS, Promise.race([lost, new Promise(done => {
        connection.connect(this.chat.domain, null, status => {
          if (status === Strophe.Status.CONNECTED) done();
          if ([Strophe.Status.CONNFAIL, Strophe.Status.AUTHFAIL, Strophe.Status.DISCONNECTED].includes(status))
            drop();
        }, BOSH_SECONDS);
      })]));
      connection.addHandler(take(this.message), null, "message");
      connection.addHandler(take(this.presence), null, "presence");
      connection.addHandler(take(this.answer), null, "iq", "get");
      await Promise.race([lost, this.join()]);
      this.show.state("joined", end.kind);
      works();
      // Until the room or the server is gone: XEP-0410.
      while (!this.ended) {
        await Promise.race([lost, pause(ASK_SECONDS), new Promise(done => { this.hurry = done; })]);
        await Promise.race([lost, this.stayIn()]);
      }
    } finally {
      this.connection = null;
      // Over websocket the server is asked to end it, so that nothing comes after the end.
      if (end.kind === "websocket" && connection.connected) {
        connection.send($build("close", {xmlns: Strophe.NS.FRAMING}));
        setTimeout(() => connection.connected && connection.disconnect(""), 1000 * ANSWER_SECONDS);
      } else connection.disconnect("");
    }
  }

  get nick() { return this.number === 1 ? NICK : `${NICK} ${this.number}`; }
  get place() { return `${this.chat.room}/${this.nick}`; }
  isMine(nick) { return nick === NICK || nick.startsWith(NICK + " "); }

  // Enter the room, fetch what was missed, and only then take what comes, so that the order is right.
  async join() {
    this.waiting = [];
    this.people.clear();
    await within(ANSWER_SECONDS, new Promise((done, failed) => {
      this.entered = done;
      this.refused = failed;
      this.enter();
    }));
    await this.catchUp();
    const waiting = this.waiting;
    this.waiting = null;
    waiting.forEach(stanza => this.live(stanza));
    this.joined = true;
    this.pending.forEach(message => this.transmit(message));
  }

  enter() {
    this.connection.send($pres({to: this.place}).c("x", {xmlns: MUC}).c("history", {maxstanzas: "0"}));
  }

  async catchUp() {
    let complete = false;
    while (!complete) {
      // Somebody who comes anew sees the end of the chat; somebody who comes back all that was missed.
      const after = this.last;
      const query = $iq({type: "set", to: this.chat.room}).c("query", {xmlns: MAM, queryid: randomId()})
        .c("set", {xmlns: RSM}).c("max").t(String(PAGE)).up();
      this.page = [];
      let answer;
      try {
        answer = await this.ask(after ? query.c("after").t(after) : query.c("before"));
      } catch (error) {
        // The archive has forgotten that message. What is shown already is not shown again.
        if (!after || !first(error.stanza, "item-not-found")) throw error;
        this.last = null;
        continue;
      }
      this.page.forEach(result => this.accept(first(result, "message"), result.getAttribute("id"),
        (first(result, "delay") || result).getAttribute("stamp")));
      const fin = first(answer, "fin"), end = first(fin, "last");
      complete = !after || !end || fin.getAttribute("complete") === "true";
      if (end) this.last = end.textContent;
    }
  }

  async stayIn() {
    try {
      await this.ask($iq({type: "get", to: this.place}).c("ping", {xmlns: PING}));
    } catch (error) {
      if (!error.stanza) throw error;
      const known = ["service-unavailable", "feature-not-implemented", "item-not-found"];
      if (!known.some(name => first(error.stanza, name))) await this.joinAgain();
    }
  }

  // The room has lost this visitor, but the connection is good. Only once at a time.
  joinAgain() {
    this.joined = false;
    this.show.state("reconnecting");
    this.rejoining ||= this.join().then(() => this.show.state("joined"))
      .catch(() => this.drop()).finally(() => { this.rejoining = null; });
    return this.rejoining;
  }

  ask(iq) {
    return new Promise((done, failed) => this.connection.sendIQ(iq, done, stanza =>
      failed(Object.assign(new Error(stanza ? "refused" : "no answer in time"), {stanza})), 1000 * ANSWER_SECONDS));
  }

  transmit(message) {
    const {id, text, url} = message;
    const stanza = $msg({to: this.chat.room, type: "groupchat", id}).c("body").t(text).up();
    if (url) stanza.c("x", {xmlns: OOB}).c("url").t(url);
    this.connection.send(stanza);
    // A room that does not show it may have gone.
    setTimeout(() => this.pending.includes(message) && this.hurry(), 1000 * SHOW_SECONDS);
  }

  message(stanza) {
    if (stanza.getAttribute("type") === "error") return this.failed(stanza);
    const result = first(stanza, "result");
    if (result) this.page.push(result);
    else if (this.waiting) this.waiting.push(stanza);
    else this.live(stanza);
  }

  live(stanza) {
    const ids = named(stanza, "stanza-id").filter(id => id.getAttribute("by") === this.chat.room);
    this.accept(stanza, ids.length ? ids[0].getAttribute("id") : null, new Date().toISOString());
  }

  // Show a message that is new. archived: its number in the room's archive.
  accept(stanza, archived, time) {
    const id = stanza.getAttribute("id"), nick = Strophe.getResourceFromJid(stanza.getAttribute("from")) || "";
    const body = first(stanza, "body");
    if (archived) this.last = archived;
    const keys = [archived, id && `${this.isMine(nick) ? NICK : nick}/${id}`].filter(key => key);
    if (!body || !nick || keys.some(key => this.seen.has(key))) return;
    keys.forEach(key => this.seen.add(key));
    if (this.isMine(nick)) {
      this.pending.splice(0, this.pending.length, ...this.pending.filter(message => message.id !== id));
      this.show.pending(this.pending);
    }
    const file = named(stanza, "x").find(x => x.getAttribute("xmlns") === OOB), url = first(file, "url");
    this.show.message({nick, mine: this.isMine(nick), time, text: body.textContent, url: url && url.textContent});
  }

  // A message came back: this visitor is no longer in the room.
  failed(stanza) {
    if (Strophe.getBareJidFromJid(stanza.getAttribute("from")) === this.chat.room && this.joined) this.joinAgain();
  }

  presence(stanza) {
    const nick = Strophe.getResourceFromJid(stanza.getAttribute("from")), type = stanza.getAttribute("type");
    if (Strophe.getBareJidFromJid(stanza.getAttribute("from")) !== this.chat.room) return;
    const codes = named(stanza, "status").map(status => status.getAttribute("code"));
    if (type === "error") {
      if (first(stanza, "conflict") && this.number < MOST_NICKS) {
        // An earlier connection of this page that the room still believes in.
        this.number++;
        this.enter();
      } else if (GONE.some(name => first(stanza, name))) this.close();
      else this.refused(new Error("the room refused"));
    } else if (codes.includes("201") || first(stanza, "destroy")) {
      // Somebody removed the room; a new one of that name is not the chat.
      this.close();
    } else if (codes.includes("110")) {
      if (type === "unavailable") setTimeout(() => this.ended || this.joinAgain(), 500);
      else this.entered();
    } else if (nick && !this.isMine(nick)) {
      this.people[type === "unavailable" ? "delete" : "add"](nick);
      this.show.people([...this.people]);
    }
  }

  close() {
    this.end();
    this.show.ended();
  }

  // Others may ask, too, whether this visitor is there.
  answer(stanza) {
    const known = first(stanza, "ping");
    const reply = $iq({type: known ? "result" : "error", to: stanza.getAttribute("from"), id: stanza.getAttribute("id")});
    if (!known) reply.c("error", {type: "cancel"}).c("service-unavailable", {xmlns: Strophe.NS.STANZAS});
    this.connection.send(reply);
  }
}
