using System.Collections.Generic;
using System.Threading.Tasks;

using Microsoft.Extensions.Hosting;

using Perper.Application;

Host.CreateDefaultBuilder(args)
    .ConfigurePerper(perper => perper
        .AddHandler("Greeter", "Greet", (string name) => $"Hello, {name}!")
        .AddHandler("Greeter", "Spell", Spell))
    .Build()
    .Run();

static async IAsyncEnumerable<char> Spell(string name)
{
    foreach (var letter in $"Hello, {name}!")
    {
        yield return letter;
        await Task.Yield();
    }
}
