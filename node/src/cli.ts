#!/usr/bin/env node
// `npx perper`: the command line that Perper's packages share.
import { native } from "./native.js";

process.exitCode = native.cli(process.argv.slice(2));
