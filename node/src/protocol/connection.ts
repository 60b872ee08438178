import { native, type NativeConnection, type NativeConnectOptions, type NativePort } from "../native.js";
import { unlessRefused } from "../errors.js";
import { Port, type Listening } from "./port.js";
import type { SharedWriters } from "../extensions/writer.js";

/** How to reach the Fabric. What is not given comes from the environment. */
export interface ConnectOptions {
  /** `http://host:port`, or `https://host:port` for TLS. `PERPER_FABRIC_ENDPOINT`; by default `http://127.0.0.1:40400`. */
  endpoint?: string;
  /** A bearer token to send with every request. `PERPER_TOKEN`. */
  token?: string;
  /** A file of PEM certificates to trust in place of the system's. `PERPER_CA_FILE`. */
  caFile?: string;
  /** The client's certificate and its key, PEM files, for a Fabric that asks for mutual TLS. */
  identity?: { certificateFile: string; keyFile: string };
  /** Milliseconds after which connecting is given up. Without it, connecting waits for the Fabric to come. */
  connectTimeout?: number;
}

/** A connection and the port through which everything over it goes. */
export class Connection {
  readonly native: NativeConnection;
  readonly port: Port;
  /** States that have been created, by instance and incarnation. */
  readonly states = new Set<string>();
  /** Writers of streams that are written to without one of one's own. */
  writers: SharedWriters | undefined;

  private constructor(native: NativeConnection, port: Port) {
    this.native = native;
    this.port = port;
  }

  /**
   * Connects, and opens a port: for requests alone, unless `serve` says how to open one that serves an agent.
   */
  static async open(
    options: ConnectOptions,
    serve?: { listening: Listening; open: (native: NativeConnection, wake: () => void) => NativePort },
  ): Promise<Connection> {
    const { identity, ...rest } = options;
    const settings: NativeConnectOptions = { ...rest, ...identity };
    const connection = unlessRefused(await native.connect(settings));
    const port = new Port(
      (wake) => (serve === undefined ? connection.open(wake) : serve.open(connection, wake)),
      serve?.listening,
    );
    return new Connection(connection, port);
  }

  /** Sends what is queued, gives back what is reserved, cancels calls in flight. */
  async close(): Promise<void> {
    this.port.close();
    const refused = await this.native.close();
    if (refused != null) unlessRefused(refused);
  }
}
