/** A value that others want to follow. */
export class Signal<T> {
  #value: T;
  readonly #followers = new Set<(value: T) => void>();

  constructor(value: T) {
    this.#value = value;
  }

  get value(): T {
    return this.#value;
  }

  set(value: T): void {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    for (const follower of this.#followers) follower(value);
  }

  /** Calls `follower` now and whenever the value changes. */
  follow(follower: (value: T) => void): void {
    this.#followers.add(follower);
    follower(this.#value);
  }
}
