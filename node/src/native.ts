/**
 * The native half: the core in Rust, as bindings/node exports it. Nothing here is public.
 */
import { createRequire } from "node:module";

/** An error of the core, before it has become an object of its class. */
export interface Refusal {
  code: number;
  reason: string;
  message: string;
}

/** Why bytes are no value. */
export interface Fault {
  reason: string;
  path: string;
  message: string;
}

export interface NativePort {
  submit(batch: Uint8Array): void;
  drain(maxBytes: number): Buffer | null;
  close(): void;
}

export interface NativeConnection {
  readonly agent: string;
  readonly instance: string;
  newId(): string;
  open(wake: () => void): NativePort;
  serve(options: ServeOptions, wake: () => void): NativePort | Refusal;
  close(): Promise<Refusal | null | undefined>;
}

export interface NativeEmbedded {
  readonly endpoint: string;
  shutdown(): Promise<Refusal | null | undefined>;
}

/** How to reach a Fabric, as the core wants to be told. */
export interface NativeConnectOptions {
  endpoint?: string;
  token?: string;
  caFile?: string;
  certificateFile?: string;
  keyFile?: string;
  connectTimeout?: number;
  isolated?: boolean;
}

export interface GeneratorSettings {
  persistent?: boolean;
  action?: boolean;
  stride?: number;
  firstKey?: number;
  backlog?: number;
  indexed?: string[];
  skip?: boolean;
}

export interface ServeOptions {
  agent: string;
  instance?: string;
  delegates: string[];
  streams: Record<string, GeneratorSettings>;
  deploy: boolean;
  upgrade: boolean;
  enter: boolean;
  concurrency?: number;
  bytes?: number;
  workGroup?: string;
}

interface Native {
  NativeConnection: abstract new () => NativeConnection;
  NativePort: abstract new () => NativePort;
  NativeEmbedded: abstract new () => NativeEmbedded;
  connect(options: NativeConnectOptions): Promise<NativeConnection | Refusal>;
  cli(args: string[]): number;
  embedded(folder?: string): Promise<NativeEmbedded | Refusal>;
  errorKinds(): { code: number; name: string }[];
  validate(value: Uint8Array): Fault | null;
  canonicalise(value: Uint8Array): Buffer | Fault;
  encodeKey(value: Uint8Array): Buffer | Fault;
}

/** `linux-x64-gnu` and the like: what platform packages are named after. */
function platform(): string {
  const { platform, arch } = process;
  if (platform === "linux") {
    const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined;
    return `linux-${arch}-${report?.header?.glibcVersionRuntime === undefined ? "musl" : "gnu"}`;
  }
  return platform === "win32" ? `win32-${arch}-msvc` : `${platform}-${arch}`;
}

function load(): Native {
  const name = platform();
  const require = createRequire(__filename);
  const tried: unknown[] = [];
  // Beside the sources in a checkout, in a package of its own where it was installed.
  for (const place of [`../perper.${name}.node`, `perper-${name}`]) {
    try {
      return require(place) as Native;
    } catch (error) {
      tried.push(error);
    }
  }
  throw new Error(
    `the native part of perper for ${name} is not here: install the package perper-${name} of the same version ` +
      "(npm leaves it out under --omit=optional)",
    { cause: new AggregateError(tried) },
  );
}

export const native: Native = load();
