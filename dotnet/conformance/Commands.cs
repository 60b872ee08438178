using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Linq;
using System.Text.Json.Nodes;
using System.Threading;
using System.Threading.Tasks;

using Perper.Extensions;
using Perper.Model;

namespace Perper.Conformance
{
    /// <summary>The commands, each by its name. They run in the current context, that of the process or that of a handler.</summary>
    internal static class Commands
    {
        private static readonly ConcurrentDictionary<string, PerperStreamBuilder> Declared = new();
        private static readonly ConcurrentDictionary<string, Listener> Listeners = new();

        internal static async Task<JsonNode?> ExecuteAsync(JsonObject command, CancellationToken token)
        {
            using var timeout = command["timeout"] is { } seconds ? PerperContext.WithTimeout(TimeSpan.FromSeconds(seconds.GetValue<double>())) : null;
            // Where a command has no way to be cancelled, it is left.
            return await NamedAsync(command, token).WaitAsync(token);
        }

        private static string Text(JsonObject command, string name) =>
            command[name] is JsonValue value && value.TryGetValue<string>(out var text) ? text : throw new CommandException($"'{name}' is missing, or no text");

        private static object? Value(JsonObject command, string name) => Notation.FromJson(command[name]);

        private static T Reference<T>(JsonObject command, string name) where T : class =>
            Value(command, name) as T ?? throw new CommandException($"'{name}' is missing, or no {typeof(T).Name}");

        private static object?[] Values(JsonObject command, string name) => command[name]?.AsArray().Select(Notation.FromJson).ToArray() ?? Array.Empty<object?>();

        /// <summary>A last result that is null counts as none.</summary>
        private static JsonArray Results(PerperResults results)
        {
            var values = results.Values.ToList();
            while (values.Count > 0 && values[^1] is null)
            {
                values.RemoveAt(values.Count - 1);
            }

            return Notation.All(values);
        }

        private static async Task<JsonNode?> NamedAsync(JsonObject command, CancellationToken token)
        {
            var context = PerperContext.Current;
            switch (Text(command, "do"))
            {
                case "call":
                    var agent = command.ContainsKey("agent") ? Reference<PerperAgent>(command, "agent") : PerperContext.Agent;
                    return Results(await context.Executions.CallAsync<PerperResults>(agent, Text(command, "delegate"), Values(command, "arguments"), token));
                case "start_agent":
                    var (started, results) = await PerperContext.StartAgentAsync<PerperResults>(Text(command, "agent"), Values(command, "arguments").Append(token).ToArray());
                    return new JsonObject { ["agent"] = Notation.ToJson(started), ["results"] = Results(results) };
                case "stop_agent":
                    return await Reference<PerperAgent>(command, "agent").DestroyAsync();
                case "context":
                    return Describe(context);
                case "start_stream":
                    return Notation.ToJson(await Builder(PerperContext.Stream(Text(command, "delegate")), command).StartAsync(Values(command, "arguments")));
                case "create_blank_stream":
                    return Notation.ToJson(await Builder(PerperContext.BlankStream(), command).StartAsync());
                case "declare_stream":
                    var builder = Builder(PerperContext.Stream(Text(command, "delegate")), command);
                    Declared[builder.Stream.Stream] = builder;
                    return Notation.ToJson(builder.Stream);
                case "start_declared":
                    return Declared.TryRemove(Reference<PerperStream>(command, "stream").Stream, out var declared)
                        ? Notation.ToJson(await declared.StartAsync(Values(command, "arguments")))
                        : throw new CommandException("it was not declared here");
                case "write" when command["key"] is { } at:
                    var key = at.GetValue<long>();
                    await Reference<PerperStream>(command, "stream").WriteItemAsync(key, Value(command, "item"));
                    return key;
                case "write":
                    return await Reference<PerperStream>(command, "stream").AppendItemAsync(Value(command, "item"));
                case "complete":
                    await Reference<PerperStream>(command, "stream").CompleteAsync(command["failure"] is null ? null : new PerperException(1, "UNKNOWN", Text(command, "failure")));
                    return null;
                case "wait_for_listener":
                    await Reference<PerperStream>(command, "stream").WaitForListenerAsync(token);
                    return null;
                case "remove_listener":
                    await Reference<PerperStream>(command, "stream").RemoveListenerAsync(Text(command, "name"));
                    return null;
                case "destroy_stream":
                    await Reference<PerperStream>(command, "stream").DestroyAsync();
                    return null;
                case "listen":
                    Listeners[Text(command, "listener")] = new Listener(From(Reference<PerperStream>(command, "stream"), command["from"]), command["name"]?.GetValue<string>());
                    return null;
                case "take":
                    return Listeners.TryGetValue(Text(command, "listener"), out var listener)
                        ? await listener.TakeAsync(command["count"]?.GetValue<int>(), token)
                        : throw new CommandException("there is no such listener");
                case "detach":
                    var found = Listeners.TryRemove(Text(command, "listener"), out var detached);
                    detached?.Detach();
                    return found;
                case "state":
                    return Notation.ToJson(PerperState.State);
                case "create_dictionary":
                    return Notation.ToJson(await context.States.CreateDictionaryAsync(StateOptions(command)));
                case "create_list":
                    return Notation.ToJson(await context.States.CreateListAsync(StateOptions(command)));
                case "dictionary":
                    return await DictionaryAsync(command);
                case "list":
                    return await ListAsync(command);
                case var name:
                    throw new CommandException($"this peer has no command '{name}'");
            }
        }

        private static JsonObject Describe(IPerperContext context)
        {
            var (agent, execution) = (PerperContext.CurrentScope.Agent, context.CurrentExecution);
            return new JsonObject
            {
                ["agent"] = agent.Agent,
                ["instance"] = agent.Instance,
                ["execution"] = execution.Execution.Length == 0 || PerperContext.Attempt == 0 ? null : Notation.ToJson(execution),
                ["attempt"] = PerperContext.Attempt == 0 ? null : PerperContext.Attempt,
                ["remaining"] = PerperContext.Remaining?.TotalSeconds,
                ["traceparent"] = PerperContext.TraceParent,
            };
        }

        private static PerperStreamBuilder Builder(PerperStreamBuilder builder, JsonObject command) => builder.Configure(options =>
        {
            var given = command["options"];
            options.Persistent = given?["persistent"]?.GetValue<bool>() ?? false;
            options.Action = given?["action"]?.GetValue<bool>() ?? false;
            options.Stride = given?["packed"]?.GetValue<long>() ?? 0;
            options.FirstKey = given?["first_key"]?.GetValue<long>() ?? 0;
            options.BacklogItems = given?["backlog"]?.GetValue<long>() ?? 0;
        });

        private static PerperStateOptions StateOptions(JsonObject command) => new()
        {
            Name = command["name"]?.GetValue<string>(),
            Detached = command["detached"]?.GetValue<bool>() ?? false,
        };

        private static PerperStream From(PerperStream stream, JsonNode? from)
        {
            if (from is null)
            {
                return stream;
            }

            return from.GetValue<System.Text.Json.JsonElement>().ValueKind == System.Text.Json.JsonValueKind.String
                ? stream.Replay(from.GetValue<string>() == "beginning")
                : stream.Replay(from.GetValue<long>());
        }

        private static JsonNode? Found((bool Exists, object? Value) found) => found.Exists ? Notation.ToJson(found.Value) : null;

        private static async Task<JsonNode?> DictionaryAsync(JsonObject command)
        {
            var of = Reference<PerperDictionary>(command, "dictionary");
            var (key, value, expected) = (Value(command, "key"), Value(command, "value"), Value(command, "expected"));
            switch (Text(command, "operation"))
            {
                case "get":
                    return Found(await of.TryGetAsync<object?, object?>(key));
                case "set":
                    await of.SetAsync(key, value);
                    return null;
                case "set_if_absent":
                    return await of.SetIfNotExistingAsync(key, value);
                case "replace_if_equal":
                    return await of.SetIfNotChangedAsync(key, expected, value);
                case "get_and_replace":
                    return Found(await of.TryGetAndReplaceAsync(key, value));
                case "get_and_remove":
                    return Found(await of.TryGetAndRemoveAsync<object?, object?>(key));
                case "remove":
                    return await of.RemoveAsync(key);
                case "remove_if_equal":
                    return await of.RemoveIfNotChangedAsync(key, expected);
                case "contains":
                    return await of.ContainsKeyAsync(key);
                case "count":
                    return await of.CountAsync();
                case "entries":
                    var entries = new JsonArray();
                    await foreach (var (name, entry) in of.EnumerateItemsAsync<object?, object?>())
                    {
                        entries.Add(new JsonArray(Notation.ToJson(name), Notation.ToJson(entry)));
                    }

                    return entries;
                case "batch":
                    return await of.ApplyAsync(Batch(command));
                case "clear":
                    await of.ClearAsync();
                    return null;
                case "destroy":
                    await of.DestroyAsync();
                    return null;
                case var operation:
                    throw new CommandException($"a dictionary has no operation '{operation}'");
            }
        }

        private static PerperDictionaryBatch Batch(JsonObject command)
        {
            var batch = new PerperDictionaryBatch();
            foreach (var step in command["operations"]!.AsArray().Select(step => step!.AsObject()))
            {
                var (key, value, expected) = (Value(step, "key"), Value(step, "value"), Value(step, "expected"));
                _ = Text(step, "operation") switch
                {
                    "set" => batch.Set(key, value),
                    "set_if_absent" => batch.SetIfNotExisting(key, value),
                    "replace_if_equal" => batch.SetIfNotChanged(key, expected, value),
                    "remove" => batch.Remove(key),
                    "remove_if_equal" => batch.RemoveIfNotChanged(key, expected),
                    var operation => throw new CommandException($"a batch has no operation '{operation}'"),
                };
            }

            return batch;
        }

        private static async Task<JsonNode?> ListAsync(JsonObject command)
        {
            var of = Reference<PerperList>(command, "list");
            var (value, index) = (Value(command, "value"), command["index"]?.GetValue<int>() ?? 0);
            switch (Text(command, "operation"))
            {
                case "add":
                    return await of.AddAsync(value);
                case "pop":
                    return await OrNull(of.PopAsync<object?>());
                case "dequeue":
                    return await OrNull(of.DequeueAsync<object?>());
                case "insert_at":
                    await of.InsertAtAsync(index, value);
                    return null;
                case "remove_at":
                    return Notation.ToJson(await of.TakeAtAsync<object?>(index));
                case "get_at":
                    return Notation.ToJson(await of.GetAtAsync<object?>(index));
                case "set_at":
                    await of.SetAtAsync(index, value);
                    return null;
                case "index_of":
                    var at = await of.IndexOfAsync(value);
                    return at < 0 ? null : at;
                case "contains":
                    return await of.ContainsAsync(value);
                case "remove":
                    return await of.RemoveAsync(value);
                case "count":
                    return await of.CountAsync();
                case "elements":
                    var elements = new JsonArray();
                    await foreach (var element in of.EnumerateAsync<object?>())
                    {
                        elements.Add(Notation.ToJson(element));
                    }

                    return elements;
                case "clear":
                    await of.ClearAsync();
                    return null;
                case "destroy":
                    await of.DestroyAsync();
                    return null;
                case var operation:
                    throw new CommandException($"a list has no operation '{operation}'");
            }
        }

        /// <summary>Taking from an empty list is an error in .NET.</summary>
        private static async Task<JsonNode?> OrNull(Task<object?> taking)
        {
            try
            {
                return Notation.ToJson(await taking);
            }
            catch (PerperException error) when (error.Reason == "INDEX_OUT_OF_RANGE")
            {
                return null;
            }
        }
    }

    /// <summary>An iterator that the harness has given a name.</summary>
    internal sealed class Listener
    {
        private readonly CancellationTokenSource detached = new();
        private readonly SemaphoreSlim one = new(1);
        private readonly IAsyncEnumerator<(long Key, object? Value)> items;
        private Task<bool>? next;

        internal Listener(PerperStream stream, string? name) =>
            items = stream.EnumerateItemsAsync<object?>(name, detached.Token).GetAsyncEnumerator();

        /// <summary>Items until there are enough, or until the end, which is told.</summary>
        internal async Task<JsonNode?> TakeAsync(int? count, CancellationToken token)
        {
            await one.WaitAsync(token);
            try
            {
                JsonArray keys = new(), taken = new();
                JsonNode? end = null;
                while (count is null || taken.Count < count)
                {
                    try
                    {
                        // A take that was cancelled has asked for an item that is the next one's.
                        next ??= items.MoveNextAsync().AsTask();
                        var more = await next.WaitAsync(token);
                        next = null;
                        if (!more)
                        {
                            end = "completed";
                            break;
                        }
                    }
                    catch (OperationCanceledException) when (detached.IsCancellationRequested)
                    {
                        end = "detached";
                        await items.DisposeAsync();
                        break;
                    }
                    catch (PerperException error)
                    {
                        end = new JsonObject { ["error"] = Output.Error(error) };
                        break;
                    }

                    keys.Add(items.Current.Key);
                    taken.Add(Notation.ToJson(items.Current.Value));
                }

                return new JsonObject { ["keys"] = keys, ["items"] = taken, ["end"] = end };
            }
            finally
            {
                one.Release();
            }
        }

        internal void Detach()
        {
            detached.Cancel();
            _ = DisposeAsync();
        }

        /// <summary>Unless a take is in the middle, which leaves by itself.</summary>
        private async Task DisposeAsync()
        {
            if (await one.WaitAsync(0))
            {
                if (next is not null)
                {
                    await next.ContinueWith(static left => _ = left.Exception, TaskScheduler.Default);
                }

                await items.DisposeAsync();
                one.Release();
            }
        }
    }
}
