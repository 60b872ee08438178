using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using System.Threading;
using System.Threading.Tasks;

using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

using Perper.Application;
using Perper.Extensions;
using Perper.Model;
using Perper.Protocol;
using Perper.Testing;

using Xunit;

namespace Perper.Tests
{
    /// <summary>What the tutorial shows beside the samples, compiled and run; and a check that it shows nothing else.</summary>
    public class TutorialTests
    {
        public record Line(string Article, int Quantity);

        public class Division
        {
            public (long Quotient, long Remainder) Run(long a, long b)
            {
                if (b == 0)
                {
                    throw new DivideByZeroException($"{a} cannot be divided by zero");
                }

                return (a / b, a % b);
            }
        }

        [Fact]
        public async Task ArgumentsResultsAndErrors()
        {
            await using var processes = await Processes.StartAsync(perper => perper.AddHandler<Division>("Math"));
            var math = new PerperAgent("Math", "");
            using var current = ((ScopedPerper)processes.Client.Executions).UseContext();

            var (quotient, remainder) = await math.CallAsync<(long, long)>("Division", 17, 5);
            Assert.Equal((3L, 2L), (quotient, remainder));

            var error = await Assert.ThrowsAsync<PerperExecutionException>(() => math.CallAsync<(long, long)>("Division", 1, 0));
            Assert.Equal("DivideByZeroException", error.Type);
            Assert.Equal("1 cannot be divided by zero", error.Message);
        }

        public static class Source
        {
            public static async IAsyncEnumerable<long> Numbers(long to)
            {
                for (long number = 0; number < to; number++)
                {
                    yield return number;
                    await Task.Yield();
                }
            }
        }

        public static class Mapper
        {
            public static async IAsyncEnumerable<long> Squares(PerperStream numbers)
            {
                await foreach (var number in numbers.EnumerateAsync<long>())
                {
                    yield return number * number;
                }
            }
        }

        [Fact]
        public async Task AStreamBetweenTwoAgents()
        {
            await using var processes = await Processes.StartAsync(perper => perper
                .AddClassHandlers("Source", typeof(Source))
                .AddClassHandlers("Mapper", typeof(Mapper)));
            using var current = ((ScopedPerper)processes.Client.Executions).UseContext();

            var numbers = await new PerperAgent("Source", "").CallAsync<PerperStream>("Numbers", 4);
            var squares = await new PerperAgent("Mapper", "").CallAsync<PerperStream>("Squares", numbers);
            var seen = new List<long>();
            await foreach (var square in squares.EnumerateAsync<long>())
            {
                seen.Add(square);
            }

            Assert.Equal(new long[] { 0, 1, 4, 9 }, seen);
        }

        public class Basket
        {
            public async Task<int> AddAsync(string item)
            {
                var count = await PerperState.GetOrDefaultAsync(item, 0) + 1;
                await PerperState.SetAsync(item, count);
                return count;
            }
        }

        [Fact]
        public async Task InstancesAndState()
        {
            await using var processes = await Processes.StartAsync(perper => perper.AddClassHandlers<Basket>());
            using var current = ((ScopedPerper)processes.Client.Executions).UseContext();

            var mine = await PerperContext.StartAgentAsync("Basket");
            var yours = await PerperContext.StartAgentAsync("Basket");
            await mine.CallAsync<int>("Add", "apple");
            Assert.Equal(2, await mine.CallAsync<int>("Add", "apple"));
            Assert.Equal(1, await yours.CallAsync<int>("Add", "apple"));
            await mine.DestroyAsync();
        }

        [Fact]
        public async Task OptionsAndDeadlines()
        {
            await using var processes = await Processes.StartAsync(perper => perper
                .AddClassHandlers("Source", typeof(Source))
                .AddHandler("Source", "Replayed", async () =>
                {
                    var stream = await PerperContext.Stream("Numbers").Persistent().StartAsync(3);
                    return (await stream.Replay().EnumerateAsync<long>().CountAsync(), await stream.Replay().EnumerateAsync<long>().CountAsync());
                })
                .AddHandler("Source", "Slow", (CancellationToken cancellation) => Task.Delay(Timeout.Infinite, cancellation)));
            using var current = ((ScopedPerper)processes.Client.Executions).UseContext();
            var source = new PerperAgent("Source", "");
            Assert.Equal((3, 3), await source.CallAsync<(int, int)>("Replayed"));

            using (PerperContext.WithTimeout(TimeSpan.FromMilliseconds(100)))
            {
                await Assert.ThrowsAsync<PerperDeadlineException>(() => source.CallAsync("Slow"));
            }
        }

        [Fact]
        public async Task ATestOfYourOwn()
        {
            await using var fabric = await EmbeddedFabric.TemporaryAsync();
            using var host = new HostBuilder()
                .ConfigurePerper(perper => perper.AddHandler("Echo", "Echo", (string text) => text))
                .ConfigureServices(services => services.Configure<PerperConfiguration>(options => options.FabricEndpoint = fabric.Endpoint))
                .Build();
            await host.StartAsync();

            await using var client = await fabric.ConnectAsync();
            Assert.Equal("echo", await client.CallAsync<string>(new PerperAgent("Echo", ""), "Echo", "echo"));
            await host.StopAsync();
        }

        private static string Squeeze(string text) => Regex.Replace(text, @"\s+", " ").Trim();

        [Fact]
        public void EverySnippetIsCodeThatIsCompiledAndRun()
        {
            var root = VectorTests.Root;
            var sources = Directory.GetFiles(Path.Combine(root, "dotnet", "samples"), "*.cs", SearchOption.AllDirectories)
                .Append(Path.Combine(root, "dotnet", "tests", "Perper.Tests", "TutorialTests.cs"))
                .Select(file => Squeeze(File.ReadAllText(file)))
                .ToList();
            var snippets = Regex.Matches(File.ReadAllText(Path.Combine(root, "docs", "dotnet.md")), "^```csharp\n(.*?)^```", RegexOptions.Multiline | RegexOptions.Singleline);
            Assert.True(snippets.Count >= 8);
            foreach (Match snippet in snippets)
            {
                var code = Squeeze(snippet.Groups[1].Value);
                Assert.True(sources.Any(source => source.Contains(code)), $"in no sample and no test: {snippet.Value}");
            }
        }
    }

    internal static class Counting
    {
        internal static async Task<int> CountAsync<T>(this IAsyncEnumerable<T> items)
        {
            var count = 0;
            await foreach (var _ in items)
            {
                count++;
            }

            return count;
        }
    }
}
