// The way from the director to the model: server-sent events, and how old what
// is shown has become.

const silence = 9000; // ms; figures come every 4 s even where nothing moved
const broken = 25000; // then the connection is made anew
const again = 3000;

// Feed calls on.status, on.figures, on.journal and on.history with what came.
export class Feed {
  constructor(on) {
    this.on = on;
    this.heard = 0; // performance.now() of the last event
    this.open = false;
    this.connect();
    setInterval(() => this.watch(), 1000);
  }

  connect() {
    clearTimeout(this.timer);
    this.source?.close();
    this.began = performance.now();
    const source = this.source = new EventSource("api/v1/events");
    source.addEventListener("status", (e) => {
      const update = JSON.parse(e.data);
      this.hear();
      this.on.status(update);
      if (!update.partial) this.fetchHistory();
    });
    source.addEventListener("figures", (e) => {
      this.hear();
      this.on.figures(JSON.parse(e.data));
    });
    source.addEventListener("journal", (e) => this.on.journal(JSON.parse(e.data)));
    source.onerror = () => {
      this.open = false;
      // A browser comes back by itself after a broken connection, not after an
      // answer such as 503.
      if (source.readyState === EventSource.CLOSED) this.timer = setTimeout(() => this.connect(), again);
    };
  }

  hear() {
    this.heard = performance.now();
    this.open = true;
  }

  // watch gives up a connection that neither speaks nor breaks.
  watch() {
    const quiet = performance.now() - Math.max(this.heard, this.began);
    if (this.source.readyState !== EventSource.CLOSED && quiet > broken) this.connect();
  }

  // age says since when nothing was heard, and what that means.
  age() {
    if (!this.heard) return { state: "wait", ms: 0 };
    const ms = performance.now() - this.heard;
    if (!this.open) return { state: "lost", ms };
    return { state: ms > silence ? "silent" : "live", ms };
  }

  async fetchHistory() {
    try {
      const answer = await fetch("api/v1/history");
      if (answer.ok) this.on.history(await answer.json());
    } catch {
      // The connection broke; the next one asks again.
    }
  }
}
