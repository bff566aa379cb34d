import { ApiError, Unreachable, getJson, headers, postJson, refusal } from "./http.ts";

export interface Collection {
  name: string;
  documents?: number;
  passages?: number;
  /** Why it cannot be used. */
  error?: string;
}

export interface DocumentInfo {
  id: number;
  path: string;
  bytes: number;
  chunks: number;
}

export interface Passage {
  path: string;
  heading: string;
  text: string;
  page: number | null;
  line: number | null;
}

/** What came of a file. */
export interface IngestReport {
  added: number;
  updated: number;
  unchanged: number;
  skipped: { path: string; reason: string }[];
  chunks: number;
}

const ROOT = "/v1/collections";

function at(collection: string): string {
  return `${ROOT}/${encodeURIComponent(collection)}`;
}

export async function collections(): Promise<Collection[]> {
  return (await getJson<{ data: Collection[] }>(ROOT)).data;
}

export async function createCollection(name: string): Promise<Collection> {
  return (await (await postJson(ROOT, { name })).json()) as Collection;
}

export async function documents(collection: string): Promise<DocumentInfo[]> {
  return (await getJson<{ data: DocumentInfo[] }>(`${at(collection)}/documents`)).data;
}

export function passage(collection: string, id: number): Promise<Passage> {
  return getJson<Passage>(`${at(collection)}/passages/${id}`);
}

/**
 * Sends a file. `sent` is told the share of it that has gone out, from 0 to 1; reading and embedding it comes after that.
 * This is an XMLHttpRequest because fetch does not tell how far an upload has come.
 */
export function upload(
  collection: string,
  name: string,
  file: Blob,
  sent: (share: number) => void,
): Promise<IngestReport> {
  return new Promise((resolve, reject) => {
    const call = new XMLHttpRequest();
    call.open("PUT", `${at(collection)}/files/${encodeURIComponent(name)}`);
    headers("application/octet-stream").forEach((value, header) => call.setRequestHeader(header, value));
    call.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable && event.total > 0) sent(event.loaded / event.total);
    });
    call.upload.addEventListener("load", () => sent(1));
    call.addEventListener("error", () => reject(new Unreachable()));
    call.addEventListener("load", () => {
      if (call.status < 200 || call.status > 299) return reject(refusal(call.status, call.responseText));
      try {
        resolve(JSON.parse(call.responseText) as IngestReport);
      } catch {
        reject(new ApiError(call.status, "unknown", "the server's answer is not JSON"));
      }
    });
    call.send(file);
  });
}
