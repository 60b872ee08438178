using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;

using Perper.Application;
using Perper.Extensions;
using Perper.Model;

using Xunit;

namespace Perper.Tests
{
    public class CallTests
    {
        [Fact]
        public async Task ALambdaAnswersACall()
        {
            await using var processes = await Processes.StartAsync(perper => perper
                .AddHandler("Greeter", "Greet", (string name) => $"Hello, {name}!"));
            Assert.Equal("Hello, World!", await processes.CallAsync<string>("Greeter", "Greet", "World"));
        }

        [Fact]
        public async Task ManyCallsAtOnceAllGetTheirOwnAnswer()
        {
            await using var processes = await Processes.StartAsync(perper => perper
                .AddHandler("Math", "Square", async (long number) =>
                {
                    await Task.Yield();
                    return number * number;
                }));
            var answers = await Task.WhenAll(Enumerable.Range(0, 500).Select(number => processes.CallAsync<long>("Math", "Square", number)));
            Assert.Equal(Enumerable.Range(0, 500).Select(number => (long)number * number), answers);
        }
    }
}
