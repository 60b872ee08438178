using System;
using System.Collections.Generic;
using System.Linq;
using System.Reflection;
using System.Threading;
using System.Threading.Channels;
using System.Threading.Tasks;

using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

using Perper.Application;
using Perper.Application.Handlers;
using Perper.Application.Listeners;
using Perper.Extensions;
using Perper.Model;
using Perper.Protocol;

using Xunit;

// The public surface of 0.8, used as programs used it. What stands in namespaces of its own is found by reflection.
namespace FirstAgent
{
    public static class Deploy
    {
        internal static TaskCompletionSource<string> Done { get; set; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public static async Task RunAsync()
        {
            var generator = await PerperContext.CallAsync<PerperStream>("Generator", 28).ConfigureAwait(false);
            var processor = await PerperContext.CallAsync<PerperStream>("Processor", generator.Replay(1), 10).ConfigureAwait(false);
            var received = await PerperContext.CallAsync<int>("Consumer", processor).ConfigureAwait(false);

            var node1 = PerperContext.Stream("Node1");
            var node2 = PerperContext.Stream("Node2").Action();
            await node1.StartAsync(node2.Stream).ConfigureAwait(false);
            await node2.StartAsync(node1.Stream).ConfigureAwait(false);

            var (low, high) = await PerperContext.CallAsync<(int, int)>("TwoNumbers", 1, 100).ConfigureAwait(false);
            var count = await PerperContext.CallAsync<int>("CountParams", 1, "a", "b", "c").ConfigureAwait(false);
            await PerperContext.CallAsync("DoSomething", "123").ConfigureAwait(false);
            Done.TrySetResult($"{received} {low <= high} {count}");
        }
    }

    public static class CountParams
    {
        public static int RunAsync(int arg1, params string[] args) => args.Length + arg1;
    }

    public static class DoSomething
    {
        public static void RunAsync(string message) => GC.KeepAlive(message);
    }

    public class TwoNumbers
    {
        public static (int, int) RunAsync(int min, int max) => (min, max);
    }

    public class SampleUserType
    {
        [PerperIndexed]
        public Guid Id { get; set; }

        public string[] MessagesBatch { get; set; }

        public SampleUserType(Guid id, string[] messagesBatch)
        {
            Id = id;
            MessagesBatch = messagesBatch;
        }
    }
}

namespace FirstAgent.Streams
{
    public class Generator
    {
        [PerperStreamOptions(Packed = true, Stride = 1, Persistent = true)]
        public async IAsyncEnumerable<(long, string)> RunAsync(int count)
        {
            for (var i = 0; i < count; i++)
            {
                // Shuffled: packed streams need no order.
                var j = Math.Min(count - 1, (i / 3 * 3) + ((i + 1) % 3));
                if (i < count - 1)
                {
                    yield return (j, $"message {j}");
                }

                await Task.Yield();
            }

            yield return (count - 1, $"message {count - 1}");
        }
    }

    public class Processor
    {
        [PerperStreamOptions(IndexTypes = new[] { typeof(SampleUserType) })]
        public static async IAsyncEnumerable<SampleUserType> RunAsync(PerperStream generator, int batchSize)
        {
            var batch = new List<string>();
            await foreach (var message in generator.EnumerateAsync<string>())
            {
                batch.Add(message + "_processed");
                if (batch.Count == batchSize)
                {
                    yield return new SampleUserType(Guid.NewGuid(), batch.ToArray());
                    batch.Clear();
                }
            }
        }
    }

    public class Consumer
    {
        public async Task<int> RunAsync(PerperStream input)
        {
            var received = 0;
            await foreach (var x in input.EnumerateAsync<SampleUserType>())
            {
                received += x.MessagesBatch.Length;
            }

            return received;
        }
    }

    public class Node1
    {
        public async IAsyncEnumerable<int> RunAsync(PerperStream input)
        {
            yield return 1;
            await foreach (var number in input.EnumerateAsync<int>())
            {
                if (number > 10)
                {
                    yield break;
                }

                yield return number - 1;
            }
        }
    }

    public class Node2
    {
        public async IAsyncEnumerable<int> RunAsync(PerperStream input)
        {
            await foreach (var number in input.EnumerateAsync<int>())
            {
                if (number > 10)
                {
                    yield break;
                }

                yield return number + 2;
            }
        }
    }
}

namespace Perper.Tests
{
    public class FormerSurfaceTests
    {
        [Fact]
        public async Task TheBasicSampleRuns()
        {
            await using var processes = await Processes.StartAsync();
            FirstAgent.Deploy.Done = new(TaskCreationOptions.RunContinuationsAsynchronously);
            using var host = await processes.AgentAsync(perper => perper.AddAssemblyHandlers("MyFirstAgent", typeof(FirstAgent.Deploy).Assembly, "FirstAgent"));
            // Messages 1 to 27 make two whole batches of ten.
            Assert.Equal("20 True 4", await FirstAgent.Deploy.Done.Task);
            await host.StopAsync();
        }

        public class GeneratorAgent
        {
            public async Task StartupAsync(int count)
            {
                var stream = await PerperContext.Stream("Generate").Persistent().StartAsync(count).ConfigureAwait(false);
                await PerperState.SetAsync("stream", stream.Replay()).ConfigureAwait(false);
            }

            public async IAsyncEnumerable<int> GenerateAsync(int count)
            {
                var i = await PerperState.GetOrDefaultAsync("i", 0).ConfigureAwait(false);
                for (; i < count; i++)
                {
                    await PerperState.SetAsync("i", i).ConfigureAwait(false);
                    yield return i;
                }
            }

            public Task<PerperStream> GetStreamAsync() => PerperState.GetOrDefaultAsync<PerperStream>("stream");
        }

        [Fact]
        public async Task TheMultiAgentSampleRuns()
        {
            await using var processes = await Processes.StartAsync();
            var sum = new TaskCompletionSource<int>(TaskCreationOptions.RunContinuationsAsynchronously);
            async Task Deploy()
            {
                var (exists, _) = await PerperState.TryGetAsync<PerperStream>("processor").ConfigureAwait(false);
                Assert.False(exists);
                var generator = await PerperContext.StartAgentAsync(nameof(GeneratorAgent), 100).ConfigureAwait(false);
                var stream = await generator.CallAsync<PerperStream>("GetStream").ConfigureAwait(false);
                var seen = await PerperState.GetOrNewAsync<List<int>>("seen");
                await foreach (var i in stream.EnumerateAsync<int>("processor"))
                {
                    seen.Add(i);
                }

                await generator.DestroyAsync();
                sum.TrySetResult(seen.Sum());
            }

            using var host = await processes.AgentAsync(
                perper => perper.AddClassHandlers<GeneratorAgent>().AddHandler("MultiAgentSample", "Deploy", Deploy),
                services => services.Configure<Perper.Protocol.FabricConfiguration>(o => o.StateDataRegion = "persistent"));
            Assert.Equal(4950, await sum.Task);
            await host.StopAsync();
        }

        /// <summary>A listener of an application's own, which runs so many handlers at once.</summary>
        private sealed class SemaphorePerperListener : BackgroundService, IPerperListener
        {
            private readonly IPerperHandler Handler;
            private readonly IPerper Perper;
            private readonly PerperListenerFilter Filter;
            private readonly ILogger<SemaphorePerperListener>? Logger;
            private readonly SemaphoreSlim ProcessSemaphore;

            public SemaphorePerperListener(int semaphoreCapacity, string agent, string @delegate, IPerperHandler handler, IServiceProvider services)
            {
                ProcessSemaphore = new(semaphoreCapacity);
                Agent = agent;
                Delegate = @delegate;
                Handler = handler;
                Perper = services.GetRequiredService<IPerper>();
                Filter = services.GetRequiredService<PerperListenerFilter>();
                Logger = services.GetService<ILogger<SemaphorePerperListener>>();
            }

            public string Agent { get; }

            public string Delegate { get; }

            protected override Task ExecuteAsync(CancellationToken stoppingToken)
            {
                if (Filter.Agent != null && Filter.Agent != Agent)
                {
                    return Task.CompletedTask;
                }

                var taskCollection = new TaskCollection();
                taskCollection.Add(async () =>
                {
                    await foreach (var executionData in Perper.Executions.ListenAsync(new PerperExecutionFilter(Agent, Filter.Instance, Delegate), stoppingToken))
                    {
                        await ProcessSemaphore.WaitAsync();
                        taskCollection.Add(async () =>
                        {
                            Logger?.LogDebug("Executing {Execution}", executionData.Execution);
                            try
                            {
                                var arguments = await Perper.Executions.GetArgumentsAsync(executionData.Execution, Handler.GetParameters()).ConfigureAwait(false);
                                await Handler.Invoke(executionData, arguments).ConfigureAwait(false);
                            }
                            catch (Exception e)
                            {
                                await Perper.Executions.WriteExceptionAsync(executionData.Execution, e).ConfigureAwait(false);
                            }
                            finally
                            {
                                ProcessSemaphore.Release();
                            }
                        });
                    }
                });
                return taskCollection.GetTask();
            }
        }

        [Fact]
        public async Task AListenerOfOnesOwnAnswersWithAHandler()
        {
            var (running, most) = (0, 0);
            var gate = new object();
            async Task<string> Answer(string text)
            {
                lock (gate)
                {
                    most = Math.Max(most, ++running);
                }

                await Task.Yield();
                lock (gate)
                {
                    running--;
                }

                return text == "fail" ? throw new InvalidOperationException("as asked") : text;
            }

            await using var processes = await Processes.StartAsync(perper => perper
                .AddListener(services => new SemaphorePerperListener(3, "Own", "Answer", new MethodPerperHandler(Answer, services), services))
                .AddListener(services => new ExecutionPerperListener("Own", "Other", new MethodPerperHandler(() => "other", services), services))
                .AddListener(services => new DeployPerperListener("Own", new MethodPerperHandler(() => Task.CompletedTask, services), services))
                .AddFallbackHandlers("Own"));
            var answers = await Task.WhenAll(Enumerable.Range(0, 30).Select(number => processes.CallAsync<string>("Own", "Answer", $"{number}")));
            Assert.Equal(Enumerable.Range(0, 30).Select(number => $"{number}"), answers);
            Assert.InRange(most, 1, 3);
            Assert.Equal("other", await processes.CallAsync<string>("Own", "Other"));
            var error = await Assert.ThrowsAsync<PerperExecutionException>(() => processes.CallAsync<string>("Own", "Answer", "fail"));
            Assert.Equal("as asked", error.Message);
        }

        [Fact]
        public async Task AProgramMayListenByHand()
        {
            await using var processes = await Processes.StartAsync();
            var executions = processes.Client.Executions;
            var test = processes.CallAsync<Guid>("container", "Test", new object[] { 1 });
            var id = Guid.NewGuid();
            await foreach (var execution in executions.ListenAsync(new PerperExecutionFilter("container", null, "Test")))
            {
                Assert.Equal(new object?[] { 1L }, await executions.GetArgumentsAsync(execution.Execution));
                await executions.WriteResultAsync(execution.Execution, id);
                break;
            }

            Assert.Equal(id, await test);
            var (created, start) = executions.Create(new PerperAgent("container", ""), "Test");
            await start(2);
            await executions.DestroyAsync(created);
        }

        [Fact(Timeout = 60_000)]
        public async Task RunInstanceRunsBesideTheCallsOfAnInstanceUntilItGoes()
        {
            var events = Channel.CreateUnbounded<string>();
            await using var processes = await Processes.StartAsync(perper => perper
                .AddInitHandler("Living", () => events.Writer.TryWrite("entered"))
                .AddHandler("Living", "RunInstance", async (CancellationToken cancellation) =>
                {
                    await PerperState.SetAsync("runs", true);
                    events.Writer.TryWrite($"runs {PerperContext.Agent.Agent}");
                    try
                    {
                        await Task.Delay(Timeout.Infinite, cancellation);
                    }
                    finally
                    {
                        events.Writer.TryWrite("over");
                    }
                })
                .AddHandler("Living", "Runs", () => PerperState.GetOrDefaultAsync<bool>("runs")));
            var instance = await processes.Client.Agents.CreateAsync(null, "Living");
            Assert.Equal("entered", await events.Reader.ReadAsync());
            Assert.Equal("runs Living", await events.Reader.ReadAsync());
            Assert.True(await processes.Client.CallAsync<bool>(instance, "Runs"));
            await processes.Client.Agents.DestroyAsync(instance);
            Assert.Equal("over", await events.Reader.ReadAsync());
        }

        /// <summary>Two listeners as one, and a handler that does nothing.</summary>
        private sealed class BothListener : CompositePerperListener
        {
            private readonly IServiceProvider services;

            public BothListener(IServiceProvider services) => this.services = services;

            public override string Agent => "Both";

            protected override IPerperListener[] GetListeners() => new IPerperListener[]
            {
                new ExecutionPerperListener(Agent, "Nothing", new DoNothingPerperHandler(services), services),
                new ExecutionPerperListener(Agent, "Something", new MethodPerperHandler(() => 1, services), services),
            };
        }

        [Fact(Timeout = 60_000)]
        public async Task SeveralListenersMayBeAddedAsOne()
        {
            await using var processes = await Processes.StartAsync(perper => perper.AddListener(services => new BothListener(services)));
            Assert.Null(await processes.CallAsync<object?>("Both", "Nothing"));
            Assert.Equal(1, await processes.CallAsync<int>("Both", "Something"));
        }

        [Fact(Timeout = 60_000)]
        public async Task ExecutionsTakenByHandMayBeGivenTasks()
        {
            await using var processes = await Processes.StartAsync();
            var executions = processes.Client.Executions;
            var calls = Enumerable.Range(0, 3).Select(number => processes.CallAsync<int>("hand", "Double", number)).ToArray();
            var tasks = new TaskCollection();
            tasks.AddRange(TakeAsync(3), async execution =>
            {
                var arguments = await executions.GetArgumentsAsync(execution.Execution);
                var doubled = 2 * (int)(long)arguments[0]!;
                if (doubled == 0)
                {
                    await executions.WriteResultAsync(execution.Execution, typeof(int), doubled);
                }
                else
                {
                    await executions.WriteTaskAsync(execution.Execution, doubled < 4 ? Task.FromResult(doubled) : Task.FromException<int>(new InvalidOperationException("too much")));
                }
            });
            await tasks.GetTask();
            Assert.Equal(0, await calls[0]);
            Assert.Equal(2, await calls[1]);
            Assert.Equal("too much", (await Assert.ThrowsAsync<PerperExecutionException>(() => calls[2])).Message);

            async IAsyncEnumerable<PerperExecutionData> TakeAsync(int count)
            {
                await foreach (var execution in executions.ListenAsync(new PerperExecutionFilter("hand", "Double")))
                {
                    yield return execution;
                    if (--count == 0)
                    {
                        yield break;
                    }
                }
            }
        }

        [Fact(Timeout = 60_000)]
        public async Task AQueryMayBeEnumeratedWithoutBlocking()
        {
            await using var processes = await Processes.StartAsync();
            var streams = processes.Client.Streams;
            var stream = await streams.CreateAsync(new PerperStreamOptions { Persistent = true });
            foreach (var number in new[] { 1, 2, 3 })
            {
                await streams.WriteItemAsync(stream, number);
            }

            var found = new List<int>();
            await foreach (var number in streams.Query<int>(stream).Where(number => number > 1).ToAsyncEnumerable())
            {
                found.Add(number);
            }

            Assert.Equal(new[] { 2, 3 }, found);
            Assert.Equal("FEATURE_NOT_SUPPORTED", Assert.Throws<PerperException>(() => streams.QuerySqlAsync<int>(stream, "_value > 1")).Reason);
        }
    }
}
