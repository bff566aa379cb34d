/** Server-sent events, of which the page needs the data only. */

export class EventReader {
  #rest = "";
  #data: string[] = [];

  /** Takes what arrived and returns the data of the events that are complete with it. */
  push(text: string): string[] {
    this.#rest += text;
    // A line may end in CR LF; a CR at the very end may be the first half of that.
    const whole = this.#rest.endsWith("\r") ? this.#rest.slice(0, -1) : this.#rest;
    const lines = whole.split(/\r\n|\r|\n/);
    const last = lines.pop() ?? "";
    this.#rest = last + this.#rest.slice(whole.length);
    const events: string[] = [];
    for (const line of lines) {
      if (line === "") {
        if (this.#data.length > 0) events.push(this.#data.join("\n"));
        this.#data = [];
      } else if (line.startsWith("data:")) {
        this.#data.push(line.slice(line.startsWith("data: ") ? 6 : 5));
      }
    }
    return events;
  }
}
