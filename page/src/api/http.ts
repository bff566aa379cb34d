/** Requests to the server that the page came from, and to nobody else. */

import { Signal } from "../signal.ts";

/** Where the server's key is kept, if it has one: for as long as this tab lives. */
const KEY = "unforget.key";

/** What the server said no to, in its own words. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** No answer came, or it ended in the middle. */
export class Unreachable extends Error {
  constructor() {
    super("the server does not answer");
  }
}

/** Whether the server wants a key that it was not given. */
export const locked = new Signal(false);

export function hasKey(): boolean {
  return sessionStorage.getItem(KEY) !== null;
}

export function setKey(key: string): void {
  sessionStorage.setItem(KEY, key);
  locked.set(false);
}

export function headers(type?: string): Headers {
  const headers = new Headers();
  const key = sessionStorage.getItem(KEY);
  if (key !== null) headers.set("Authorization", `Bearer ${key}`);
  if (type !== undefined) headers.set("Content-Type", type);
  return headers;
}

/**
 * Sends a request.
 * @throws ApiError, Unreachable, or the signal's reason.
 */
export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { headers: headers(), cache: "no-store", ...init });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Unreachable();
  }
  if (!response.ok) throw refusal(response.status, await response.text().catch(() => ""));
  return response;
}

export async function getJson<T>(path: string): Promise<T> {
  const response = await request(path);
  return (await response.json()) as T;
}

export async function postJson(path: string, body: unknown, signal?: AbortSignal): Promise<Response> {
  const init: RequestInit = { method: "POST", body: JSON.stringify(body), headers: headers("application/json") };
  if (signal !== undefined) init.signal = signal;
  return request(path, init);
}

/** What an answer that is no success says. */
export function refusal(status: number, body: string): ApiError {
  if (status === 401) locked.set(true);
  return errorOf(body, status) ?? new ApiError(status, "unknown", `the server answered ${status}`);
}

/** Reads OpenAI's envelope, if that is what it is. */
export function errorOf(body: string, status = 500): ApiError | undefined {
  try {
    const { error } = JSON.parse(body) as { error?: { message?: string; code?: string } };
    if (error === undefined) return undefined;
    return new ApiError(status, error.code ?? "unknown", error.message ?? "an error without a message");
  } catch {
    return undefined;
  }
}
