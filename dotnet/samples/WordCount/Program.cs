// Counts the words of text files, with agents in five processes.
//
//     WordCount FILE…
//
// A reader streams the lines. Three instances of a tokenizer, in three processes, share them and stream the counts of each
// line. A counter adds them up in its state, and streams back how far it is; then the top of the table. A word is a run of
// ASCII letters, in lower case: what `tr -cs '[:alpha:]' '\n' | tr '[:upper:]' '[:lower:]'` says.
//
//     WordCount --tokenizer ../../../target/release/wordcount FILE…
//
// takes the tokenizers of the same example in Rust: agents do not see in which language others are written.
using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading.Tasks;

using Perper.Extensions;
using Perper.Model;

using WordCount;

// Words in the table, and instances of the tokenizer.
const int Top = 20;
const int Tokenizers = 3;

if (args.Length == 2 && args[0] == "--agent")
{
    await AgentProcess.ServeAsync(args[1]);
    return 0;
}

var tokenizer = args.Length > 1 && args[0] == "--tokenizer" ? args[1] : null;
var files = tokenizer is null ? args : args.Skip(2).ToArray();
if (files.Length == 0)
{
    Console.Error.WriteLine("usage: WordCount [--tokenizer PROGRAM] FILE…");
    return 2;
}

await using var fabric = await PerperContext.ConnectAsync();
await using var processes = new AgentProcesses();
processes.Start("Reader");
processes.Start("Counter");
for (var process = 0; process < Tokenizers; process++)
{
    processes.Start("Tokenizer", tokenizer);
}

var reader = new PerperAgent("Reader", "");
var total = await reader.CallAsync<long>("Count", new object[] { files });
var lines = await reader.CallAsync<PerperStream>("Lines", new object[] { files });

var tokenizers = new List<PerperAgent>();
var tables = new List<PerperStream>();
for (var part = 0; part < Tokenizers; part++)
{
    var instance = await PerperContext.StartAgentAsync("Tokenizer");
    tables.Add(await instance.CallAsync<PerperStream>("Tables", lines, part, Tokenizers));
    tokenizers.Add(instance);
}

var counter = await PerperContext.StartAgentAsync("Counter");
var progress = await counter.CallAsync<PerperStream>("Count", tables);
await foreach (var done in progress.EnumerateAsync<long>())
{
    if (!Console.IsErrorRedirected)
    {
        Console.Error.Write($"\r{done}/{total} lines");
    }
}

var top = await counter.CallAsync<PerperStream>("Top", Top);
await foreach (var entry in top.EnumerateAsync<(string Word, long Count)>())
{
    Console.WriteLine($"{entry.Count,7} {entry.Word}");
}

// With the instances goes what they own: the streams, the totals.
foreach (var instance in tokenizers.Append(counter))
{
    await instance.DestroyAsync();
}

await lines.DestroyAsync();
return 0;
