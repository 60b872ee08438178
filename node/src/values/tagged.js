"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.Tagged = void 0;
/** A value under a CBOR tag that has no meaning here: read, it can be written again unchanged. */
class Tagged {
  tag;
  content;
  constructor(tag, content) {
    this.tag = tag;
    this.content = content;
  }
}
exports.Tagged = Tagged;
