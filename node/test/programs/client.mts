// A program that is no agent. It closes nothing: with nothing under way, it ends.
import { Agent, callAgent, connect } from "perper";

await connect();
console.log(await callAgent(new Agent("Worker"), "Name"));
