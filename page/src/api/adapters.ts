import { getJson } from "./http.ts";

/** What the guard knows of an adapter. */
export type AdapterState = "quarantined" | "certified" | "failed" | "retired";

export interface Adapter {
  name: string;
  sha256: string;
  base: string;
  state: AdapterState;
  /** The scale it has where a request gives none. */
  scale: number;
  certified_scale: number | null;
  quarantine_reasons: string[];
  has_report: boolean;
}

/** An adapter as a request asks for it. */
export interface WantedAdapter {
  name: string;
  scale: number;
}

export async function adapters(): Promise<Adapter[]> {
  return (await getJson<{ data: Adapter[] }>("/v1/adapters")).data;
}

/** The base's name: the first of the models. */
export async function baseName(): Promise<string> {
  const models = await getJson<{ data: { id: string }[] }>("/v1/models");
  return models.data[0]?.id ?? "";
}
