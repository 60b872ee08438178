/** A value under a CBOR tag that has no meaning here: read, it can be written again unchanged. */
export class Tagged {
  readonly tag: number | bigint;
  readonly content: unknown;

  constructor(tag: number | bigint, content: unknown) {
    this.tag = tag;
    this.content = content;
  }
}
