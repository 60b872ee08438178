using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;

using Microsoft.Extensions.DependencyInjection;

using Perper.Application;
using Perper.Extensions;
using Perper.Model;

using Xunit;

namespace Perper.Tests
{
    public class HandlerTests
    {
        private sealed record Order(string Customer, List<Line> Lines);

        public sealed record Line(string Article, int Quantity);

        [Fact]
        public async Task ResultsOfEveryShapeArrive()
        {
            await using var processes = await Processes.StartAsync(perper => perper
                .AddHandler("A", "Plain", () => 1)
                .AddHandler("A", "Nothing", () => { })
                .AddHandler("A", "Task", async () => await Task.FromResult("task"))
                .AddHandler("A", "ValueTask", () => new ValueTask<string>("value task"))
                .AddHandler("A", "Several", () => (7, "seven"))
                .AddHandler("A", "SeveralLater", async () => await Task.FromResult((7, "seven")))
                .AddHandler("A", "Absent", () => (string?)null));
            Assert.Equal(1, await processes.CallAsync<int>("A", "Plain"));
            Assert.Null(await processes.CallAsync<object?>("A", "Nothing"));
            Assert.Equal("task", await processes.CallAsync<string>("A", "Task"));
            Assert.Equal("value task", await processes.CallAsync<string>("A", "ValueTask"));
            Assert.Equal((7, "seven"), await processes.CallAsync<(int, string)>("A", "Several"));
            Assert.Equal((7, "seven"), await processes.CallAsync<(int, string)>("A", "SeveralLater"));
            Assert.Equal(new object?[] { 7L, "seven" }, await processes.CallAsync<object?>("A", "Several"));
            Assert.Null(await processes.CallAsync<string?>("A", "Absent"));
            var missing = await Assert.ThrowsAsync<PerperValueException>(() => processes.CallAsync<int>("A", "Absent"));
            Assert.Contains("there are 0", missing.Message);
        }

        [Fact]
        public async Task ArgumentsAreConvertedDefaultedAndGathered()
        {
            await using var processes = await Processes.StartAsync(perper => perper
                .AddHandler("A", "Count", new Func<int, string[], int>(Shapes.Count))
                .AddHandler("A", "Default", (Func<int, int, int>)Shapes.Default)
                .AddHandler("A", "Total", (Order order) => order.Lines.Sum(line => line.Quantity))
                .AddHandler("A", "Token", (int number, CancellationToken token) => token.CanBeCanceled ? number : -1));
            Assert.Equal(4, await processes.CallAsync<int>("A", "Count", 1, "a", "b", "c"));
            Assert.Equal(1, await processes.CallAsync<int>("A", "Count", 1));
            Assert.Equal(3, await processes.CallAsync<int>("A", "Count", 1, new[] { "a", "b" }));
            Assert.Equal(12, await processes.CallAsync<int>("A", "Default", 2));
            Assert.Equal(5, await processes.CallAsync<int>("A", "Default", 2, 3, "surplus"));
            var order = new Order("Ada", new() { new("apple", 3), new("pear", 4) });
            Assert.Equal(7, await processes.CallAsync<int>("A", "Total", order));
            Assert.Equal(5, await processes.CallAsync<int>("A", "Token", 5));
        }

        [Fact]
        public async Task AnArgumentThatDoesNotFitIsNamed()
        {
            await using var processes = await Processes.StartAsync(perper => perper
                .AddHandler("A", "Total", (Order order) => 0)
                .AddHandler("A", "Add", (int first, int second) => first + second));
            var error = await Assert.ThrowsAsync<PerperExecutionException>(() => processes.CallAsync<int>("A", "Add", 1, "two"));
            Assert.Contains("'second'", error.Message);
            Assert.Contains("System.Int32", error.Message);
            error = await Assert.ThrowsAsync<PerperExecutionException>(() => processes.CallAsync<int>("A", "Add", 1));
            Assert.Contains("'second'", error.Message);
            error = await Assert.ThrowsAsync<PerperExecutionException>(() => processes.CallAsync<int>("A", "Total", new { lines = new object[] { new { quantity = "many" } } }));
            Assert.Contains("['lines'][0]['quantity']", error.Message);
        }

        [Fact]
        public async Task AnErrorReachesTheCallerWithTypeMessageAndPlace()
        {
            await using var processes = await Processes.StartAsync(perper => perper
                .AddHandler("A", "Fail", new Func<int>(() => throw new ArgumentOutOfRangeException("number", "too large")))
                .AddHandler("A", "FailLater", async () =>
                {
                    await Task.Yield();
                    throw new KeyNotFoundException("not here");
                })
                .AddHandler("A", "Relay", () => PerperContext.CallAsync<int>("Fail")));
            var error = await Assert.ThrowsAsync<PerperExecutionException>(() => processes.CallAsync<int>("A", "Fail"));
            Assert.Equal("ArgumentOutOfRangeException", error.Type);
            Assert.Contains("too large", error.Message);
            Assert.Contains(nameof(AnErrorReachesTheCallerWithTypeMessageAndPlace), error.RemoteStackTrace);
            error = await Assert.ThrowsAsync<PerperExecutionException>(() => processes.CallAsync<int>("A", "FailLater"));
            Assert.Equal("KeyNotFoundException", error.Type);
            // Handed on as it was raised.
            error = await Assert.ThrowsAsync<PerperExecutionException>(() => processes.CallAsync<int>("A", "Relay"));
            Assert.Equal("ArgumentOutOfRangeException", error.Type);
        }

        [Fact]
        public async Task AResultThatCannotTravelFailsTheCallAndSaysWhy()
        {
            await using var processes = await Processes.StartAsync(perper => perper
                .AddHandler("A", "Code", () => new object[] { 1, (Action)(() => { }) })
                .AddHandler("A", "Fine", () => 1));
            var error = await Assert.ThrowsAsync<PerperExecutionException>(() => processes.CallAsync<object?>("A", "Code"));
            Assert.Contains("System.Action", error.Message);
            Assert.Contains("[1]", error.Message);
            await Assert.ThrowsAsync<PerperValueException>(() => processes.CallAsync<int>("A", "Fine", (Action)(() => { })));
            Assert.Equal(1, await processes.CallAsync<int>("A", "Fine"));
        }

        [Fact]
        public async Task CancellingACallCancelsItsHandlerAndWhatThatHasCalled()
        {
            var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var cancelled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            await using var processes = await Processes.StartAsync(perper => perper
                .AddHandler("A", "Outer", () => PerperContext.CallAsync("Inner"))
                .AddHandler("A", "Inner", async (CancellationToken token) =>
                {
                    token.Register(() => cancelled.TrySetResult());
                    begun.TrySetResult();
                    await Task.Delay(Timeout.Infinite, token);
                }));
            using var source = new CancellationTokenSource();
            var call = processes.CallAsync<object?>("A", "Outer", source.Token);
            await begun.Task;
            source.Cancel();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
            await cancelled.Task;
        }

        [Fact]
        public async Task ADeadlineHoldsForAllThatIsCalled()
        {
            await using var processes = await Processes.StartAsync(perper => perper
                .AddHandler("A", "Wait", (CancellationToken token) => Task.Delay(Timeout.Infinite, token)));
            using (Extensions.PerperContext.WithTimeout(TimeSpan.FromMilliseconds(50)))
            {
                await Assert.ThrowsAsync<PerperDeadlineException>(() => processes.CallAsync<object?>("A", "Wait"));
            }
        }

        private sealed class Counter
        {
            internal int Made;
        }

        private sealed class Scoped : IDisposable
        {
            private readonly Counter counter;

            public Scoped(Counter counter) => this.counter = counter;

            internal int Number { get; } = 1;

            public void Dispose() => Interlocked.Increment(ref counter.Made);
        }

        private sealed class Injected
        {
            private readonly Scoped scoped;
            private readonly IPerperContext context;

            public Injected(Scoped scoped, IPerperContext context)
            {
                this.scoped = scoped;
                this.context = context;
            }

            public string Run(string name) => $"{name} {scoped.Number} {context.CurrentAgent.Agent}";
        }

        [Fact]
        public async Task AHandlerGetsServicesOfAScopeOfItsOwn()
        {
            var counter = new Counter();
            await using var processes = await Processes.StartAsync(
                perper => perper.AddHandler<Injected>("A"),
                services => services.AddSingleton(counter).AddScoped<Scoped>());
            Assert.Equal("x 1 A", await processes.CallAsync<string>("A", "Injected", "x"));
            Assert.Equal("y 1 A", await processes.CallAsync<string>("A", "Injected", "y"));
            Assert.InRange(counter.Made, 1, 2);
        }

        [Fact]
        public async Task ContextFollowsTasksAndNotWhoeverComesNext()
        {
            await using var processes = await Processes.StartAsync(perper => perper
                .AddHandler("A", "Who", async () =>
                {
                    var before = PerperContext.Current.CurrentExecution;
                    await Task.Yield();
                    var inside = await Task.Run(() => PerperContext.Current.CurrentExecution);
                    return before.Execution == inside.Execution ? inside.Execution : "";
                }));
            var ids = await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => processes.CallAsync<string>("A", "Who")));
            Assert.Equal(50, ids.Where(id => id.Length > 0).Distinct().Count());
        }

        [Fact]
        public async Task TwoHandlersForOneDelegateAreRefused()
        {
            var error = await Assert.ThrowsAsync<PerperException>(() => Processes.StartAsync(perper => perper
                .AddHandler("A", "Same", () => 1)
                .AddHandler("A", "Same", () => 2)));
            Assert.Contains("'Same'", error.Message);
        }
    }

    internal static class Shapes
    {
        internal static int Count(int start, params string[] rest) => start + rest.Length;

        internal static int Default(int number, int other = 10) => number + other;
    }
}
