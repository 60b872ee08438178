using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;

using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

using Perper.Application;
using Perper.Extensions;
using Perper.Model;
using Perper.Protocol;
using Perper.Testing;

using Xunit;

namespace Perper.Tests
{
    public class HostingTests
    {
        [Fact]
        public async Task TheConfigurationSectionSaysWhereAndWhatToServe()
        {
            await using var fabric = await EmbeddedFabric.TemporaryAsync();
            var builder = new HostApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
            builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
            {
                ["Perper:FabricEndpoint"] = fabric.Endpoint,
                ["Perper:Agent"] = "Mine",
                ["Perper:Concurrency"] = "3",
            });
            builder.AddPerper(perper => perper
                .AddHandler("Mine", "Greet", () => "mine")
                .AddHandler("Other", "Greet", () => "other"));
            using var host = builder.Build();
            await host.StartAsync();
            await using var client = await fabric.ConnectAsync();
            Assert.Equal("mine", await client.CallAsync<string>(new PerperAgent("Mine", ""), "Greet"));
            using var source = new CancellationTokenSource(TimeSpan.FromMilliseconds(200));
            // Nobody serves the other agent, so its call waits.
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => client.CallAsync<string>(new PerperAgent("Other", ""), "Greet", source.Token));
            await host.StopAsync();
        }

        [Fact]
        public async Task StoppingFinishesWhatIsInFlight()
        {
            var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var finish = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            await using var processes = await Processes.StartAsync();
            using var host = await processes.AgentAsync(perper => perper.AddHandler("A", "Slow", async () =>
            {
                begun.TrySetResult();
                await finish.Task;
                return "finished";
            }));
            var call = processes.CallAsync<string>("A", "Slow");
            await begun.Task;
            var stopping = host.StopAsync();
            finish.TrySetResult();
            Assert.Equal("finished", await call);
            await stopping;
        }

        [Fact]
        public async Task WhatIsNotFinishedWithinTheGraceGoesToAnother()
        {
            var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            await using var processes = await Processes.StartAsync();
            using var first = await processes.AgentAsync(
                perper => perper.AddHandler("A", "Slow", async (CancellationToken token) =>
                {
                    begun.TrySetResult();
                    await Task.Delay(Timeout.Infinite, token);
                }),
                services => services.Configure<PerperConfiguration>(options => options.Grace = TimeSpan.FromMilliseconds(50)));
            var call = processes.CallAsync<string>("A", "Slow");
            await begun.Task;
            using var second = await processes.AgentAsync(perper => perper.AddHandler("A", "Slow", () => "second"));
            await first.StopAsync();
            Assert.Equal("second", await call);
            await second.StopAsync();
        }

        [Fact]
        public async Task ATraceGoesOnThroughEveryHop()
        {
            var seen = new ConcurrentQueue<Activity>();
            using var both = new CountdownEvent(2);
            using var listener = new ActivityListener
            {
                ShouldListenTo = source => source.Name == "Perper",
                Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
                ActivityStopped = activity =>
                {
                    if (activity.DisplayName is "Traced.Outer" or "Traced.Inner")
                    {
                        seen.Enqueue(activity);
                        both.Signal();
                    }
                },
            };
            ActivitySource.AddActivityListener(listener);
            await using var processes = await Processes.StartAsync(perper => perper
                .AddHandler("Traced", "Outer", () => PerperContext.CallAsync<string>("Inner"))
                .AddHandler("Traced", "Inner", () => Activity.Current!.TraceId.ToString()));
            using var caller = new Activity("caller");
            caller.SetIdFormat(ActivityIdFormat.W3C).Start();
            Assert.Equal(caller.TraceId.ToString(), await processes.CallAsync<string>("Traced", "Outer"));
            caller.Stop();
            // An activity ends a moment after its answer has gone.
            Assert.True(both.Wait(TimeSpan.FromSeconds(30)));
            Assert.All(seen, activity => Assert.Equal(caller.TraceId, activity.TraceId));
            // Each within that of whoever called.
            var outer = seen.Single(activity => activity.DisplayName == "Traced.Outer");
            Assert.Equal(caller.SpanId, outer.ParentSpanId);
            Assert.Equal(outer.SpanId, seen.Single(activity => activity.DisplayName == "Traced.Inner").ParentSpanId);
        }

        private sealed class Records : ILoggerProvider, ILogger
        {
            internal ConcurrentQueue<string> Texts { get; } = new();

            public ILogger CreateLogger(string categoryName) => this;

            public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

            public bool IsEnabled(LogLevel logLevel) => true;

            public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
                Texts.Enqueue($"{logLevel}: {formatter(state, exception)}");

            public void Dispose()
            {
            }
        }

        [Fact]
        public async Task LogsGoWhereTheApplicationsGo()
        {
            var records = new Records();
            await using var processes = await Processes.StartAsync(
                perper => perper.AddHandler("Logged", "Answer", () => 1),
                services => services.AddLogging(logging => logging.AddProvider(records)));
            await processes.CallAsync<int>("Logged", "Answer");
            Assert.Contains("Information: Serving agent Logged", records.Texts);
        }

        [Fact]
        public async Task AFabricThatIsNotThereIsToldInTime()
        {
            var error = await Assert.ThrowsAsync<PerperException>(() => FabricService.ConnectAsync(new FabricConfiguration
            {
                Endpoint = "http://127.0.0.1:9",
                ConnectTimeout = TimeSpan.FromMilliseconds(200),
            }));
            Assert.Equal("UNAVAILABLE", error.Reason);
            error = await Assert.ThrowsAsync<PerperException>(() => FabricService.ConnectAsync(new FabricConfiguration { Endpoint = "fabric:40400" }));
            Assert.Equal("INVALID_SETTINGS", error.Reason);
            using var source = new CancellationTokenSource(TimeSpan.FromMilliseconds(100));
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => FabricService.ConnectAsync(new FabricConfiguration { Endpoint = "http://127.0.0.1:9" }, source.Token));
        }

        [Fact]
        public async Task AfterClosingEverythingSaysSo()
        {
            await using var fabric = await EmbeddedFabric.TemporaryAsync();
            var client = await fabric.ConnectAsync();
            var call = client.CallAsync<string>(new PerperAgent("Nobody", ""), "Greet");
            await client.DisposeAsync();
            Assert.Equal("CLOSED", (await Assert.ThrowsAsync<PerperException>(() => call)).Reason);
            Assert.Equal("CLOSED", (await Assert.ThrowsAsync<PerperException>(() => client.CallAsync<string>(new PerperAgent("Nobody", ""), "Greet"))).Reason);
            await client.DisposeAsync();
        }

        [Fact]
        public async Task ADurableFabricFindsItsFolderAgain()
        {
            var folder = System.IO.Directory.CreateTempSubdirectory("perper-").FullName;
            try
            {
                PerperDictionary dictionary;
                await using (var fabric = await EmbeddedFabric.DurableAsync(folder))
                {
                    await using var client = await fabric.ConnectAsync();
                    dictionary = await client.States.CreateDictionaryAsync();
                    await client.States.SetAsync(dictionary, "kept", 7);
                }

                await using (var fabric = await EmbeddedFabric.DurableAsync(folder))
                {
                    await using var client = await fabric.ConnectAsync();
                    Assert.Equal((true, 7), await client.States.TryGetAsync<string, int>(dictionary, "kept"));
                }
            }
            finally
            {
                System.IO.Directory.Delete(folder, recursive: true);
            }
        }
    }
}
