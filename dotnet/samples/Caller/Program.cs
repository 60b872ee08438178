using System;

using Perper.Extensions;
using Perper.Model;

await using var fabric = await PerperContext.ConnectAsync();
var greeter = new PerperAgent("Greeter", "");

var greeting = await greeter.CallAsync<string>("Greet", "World");
Console.WriteLine(greeting);

// What comes back is a reference; the letters stay where they are until somebody listens.
var letters = await greeter.CallAsync<PerperStream>("Spell", "stream");
await foreach (var letter in letters.EnumerateAsync<char>())
{
    Console.Write(letter);
}

Console.WriteLine();
