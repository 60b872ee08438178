using System;
using System.Collections.Generic;
using System.Linq;
using System.Reflection;
using System.Runtime.ExceptionServices;
using System.Threading.Tasks;

using Microsoft.Extensions.DependencyInjection;

using Perper.Model;
using Perper.Protocol;

namespace Perper.Application.Handlers
{
    /// <summary>
    /// Answers executions with a method or a lambda. A result may be plain, a <see cref="Task{TResult}"/> or a
    /// <see cref="ValueTask{TResult}"/>; a <see cref="ValueTuple"/> is several results; an
    /// <see cref="IAsyncEnumerable{T}"/> makes it the generator of a stream, whose items may be pairs of a <c>long</c> key and a value.
    /// </summary>
    public class MethodPerperHandler : IPerperHandler
    {
        private readonly Func<IServiceProvider, object?>? createInstance;

        /// <summary>Nobody asks for services of the execution: no scope is made of them.</summary>
        private readonly bool needsNoScope;
        private readonly object? target;
        private readonly MethodInfo method;
        private readonly IServiceProvider services;
        private readonly ParameterInfo[] parameters;
        private readonly Func<object?, Outcome, Task> conclude;

        /// <summary>The object was made for the execution, so it goes with it; a lambda's is its author's.</summary>
        private readonly bool ownsInstance;

        /// <summary>Creates a handler of a method.</summary>
        /// <param name="createInstance">Makes the object to invoke it on, from the services of the execution; null for a static method.</param>
        /// <param name="method">The method.</param>
        /// <param name="services">The services of the application.</param>
        public MethodPerperHandler(Func<IServiceProvider, object?>? createInstance, MethodInfo method, IServiceProvider services)
        {
            this.createInstance = createInstance;
            this.method = method;
            this.services = services;
            parameters = method.GetParameters();
            (conclude, IsStream) = Results.For(method.ReturnType);
        }

        /// <summary>Creates a handler of a method, on an object that is made for each execution with what its constructor asks for.</summary>
        public MethodPerperHandler(Type type, MethodInfo method, IServiceProvider services)
            : this(method.IsStatic ? null : provider => ActivatorUtilities.CreateInstance(provider, type), method, services)
        {
            ownsInstance = true;
            needsNoScope = method.IsStatic;
        }

        /// <summary>Creates a handler of a lambda.</summary>
        public MethodPerperHandler(Delegate handler, IServiceProvider services)
            : this(_ => handler.Target, handler.Method, services)
        {
            needsNoScope = true;
            target = handler.Target;
        }

        /// <summary>Whether it fills a stream.</summary>
        public bool IsStream { get; protected set; }

        /// <inheritdoc />
        public ParameterInfo[]? GetParameters() => parameters;

        /// <inheritdoc />
        public async Task Invoke(PerperExecutionData executionData, object?[] arguments)
        {
            var fabric = (FabricService)services.GetRequiredService<IPerper>();
            if (fabric.Held.TryGetValue(executionData.Execution.Execution, out var held))
            {
                // Of this asynchronous flow only: it is gone when this method returns.
                Scope.Current = held;
            }

            var outcome = new Outcome(fabric, executionData.Execution, held?.Activation, executionData.IsSynthetic);
            if (needsNoScope)
            {
                await InvokeAsync(target, arguments, outcome).ConfigureAwait(false);
                return;
            }

            var provider = services.CreateAsyncScope();
            await using var scoped = provider.ConfigureAwait(false);
            // Services of the scope may ask whose they are.
            if (provider.ServiceProvider.GetService<PerperScopeService>() is { } current)
            {
                current.CurrentExecution = executionData;
            }

            var made = createInstance?.Invoke(provider.ServiceProvider);
            try
            {
                await InvokeAsync(made, arguments, outcome).ConfigureAwait(false);
            }
            finally
            {
                if (ownsInstance && made is IAsyncDisposable disposable)
                {
                    await disposable.DisposeAsync().ConfigureAwait(false);
                }
                else if (ownsInstance && made is IDisposable synchronously)
                {
                    synchronously.Dispose();
                }
            }
        }

        private Task InvokeAsync(object? on, object?[] arguments, Outcome outcome)
        {
            object? returned;
            try
            {
                returned = method.Invoke(on, BindingFlags.DoNotWrapExceptions, null, arguments, null);
            }
            catch (TargetInvocationException error) when (error.InnerException is not null)
            {
                ExceptionDispatchInfo.Throw(error.InnerException);
                throw;
            }

            return conclude(returned, outcome);
        }

        /// <inheritdoc />
        public override string ToString() => $"{method.DeclaringType?.Name}.{method.Name}";

        /// <summary>Where results go.</summary>
        private sealed record Outcome(FabricService Fabric, PerperExecution Execution, Activation? Activation, bool IsSynthetic)
        {
            internal Task WriteAsync<T>(T result)
            {
                if (Activation is null)
                {
                    return IsSynthetic ? Task.CompletedTask : Fabric.Executions.WriteResultAsync(Execution, result);
                }

                Activation.Complete(result);
                return Task.CompletedTask;
            }

            internal Task WriteAsync()
            {
                if (Activation is null)
                {
                    return IsSynthetic ? Task.CompletedTask : Fabric.Executions.WriteResultAsync(Execution);
                }

                Activation.Complete();
                return Task.CompletedTask;
            }

            /// <summary>Writes a generator's items to its stream, to the end.</summary>
            internal async Task GenerateAsync<T>(IAsyncEnumerable<T> items, Func<ItemWriter, T, ValueTask> write)
            {
                if (Activation is not { LinkedStream: { } linked } activation)
                {
                    throw PerperException.InvalidArgument("this handler returns a stream, which only a delegate can that was added as a handler, not one of a listener's own");
                }

                var skip = linked.SkipItems;
                var writer = new ItemWriter(activation.Port, activation.Invocation, linked.Stream, linked.Stride);
                try
                {
                    await foreach (var item in items.WithCancellation(activation.Cancellation).ConfigureAwait(false))
                    {
                        activation.Cancellation.ThrowIfCancellationRequested();
                        if (skip > 0)
                        {
                            skip--;
                            continue;
                        }

                        await write(writer, item).ConfigureAwait(false);
                    }

                    await writer.FlushAsync().ConfigureAwait(false);
                }
                catch (Exception) when (activation.CancelledBy == 0)
                {
                    // The error comes after the items that were there before it. If these cannot be written, that is why.
                    await writer.FlushAsync().ConfigureAwait(false);
                    throw;
                }
                finally
                {
                    writer.Close();
                }

                await WriteAsync().ConfigureAwait(false);
            }
        }

        /// <summary>What is done with what a method returns, found once for each of its types.</summary>
        private static class Results
        {
            internal static (Func<object?, Outcome, Task> Conclude, bool IsStream) For(Type type)
            {
                if (type == typeof(void))
                {
                    return ((_, outcome) => outcome.WriteAsync(), false);
                }

                if (type == typeof(Task))
                {
                    return (static async (returned, outcome) =>
                    {
                        await ((Task)returned!).ConfigureAwait(false);
                        await outcome.WriteAsync().ConfigureAwait(false);
                    }, false);
                }

                if (type == typeof(ValueTask))
                {
                    return (static async (returned, outcome) =>
                    {
                        await ((ValueTask)returned!).ConfigureAwait(false);
                        await outcome.WriteAsync().ConfigureAwait(false);
                    }, false);
                }

                var definition = type.IsGenericType ? type.GetGenericTypeDefinition() : null;
                if (definition == typeof(Task<>) || definition == typeof(ValueTask<>))
                {
                    var result = type.GetGenericArguments()[0];
                    var (inner, isStream) = ItemOf(result) is null ? (null, false) : For(result);
                    return (Make(definition == typeof(Task<>) ? nameof(AwaitTask) : nameof(AwaitValueTask), result, inner), isStream);
                }

                if (ItemOf(type) is { } item)
                {
                    return item.IsGenericType && item.GetGenericTypeDefinition() == typeof(ValueTuple<,>) && item.GetGenericArguments()[0] == typeof(long)
                        ? (Make(nameof(Keyed), item.GetGenericArguments()[1], null), true)
                        : (Make(nameof(Items), item, null), true);
                }

                return (Make(nameof(Plain), type, null), false);
            }

            private static Type? ItemOf(Type type) => type.GetInterfaces().Append(type)
                .FirstOrDefault(it => it.IsGenericType && it.GetGenericTypeDefinition() == typeof(IAsyncEnumerable<>))?.GetGenericArguments()[0];

            private static Func<object?, Outcome, Task> Make(string name, Type type, Func<object?, Outcome, Task>? inner) =>
                (Func<object?, Outcome, Task>)typeof(Results).GetMethod(name, BindingFlags.Static | BindingFlags.NonPublic)!.MakeGenericMethod(type).Invoke(null, new object?[] { inner })!;

            private static Func<object?, Outcome, Task> Plain<T>(Func<object?, Outcome, Task>? _) => static (returned, outcome) => outcome.WriteAsync((T)returned!);

            private static Func<object?, Outcome, Task> AwaitTask<T>(Func<object?, Outcome, Task>? inner) => async (returned, outcome) =>
            {
                var result = await ((Task<T>)returned!).ConfigureAwait(false);
                await (inner is null ? outcome.WriteAsync(result) : inner(result, outcome)).ConfigureAwait(false);
            };

            private static Func<object?, Outcome, Task> AwaitValueTask<T>(Func<object?, Outcome, Task>? inner) => async (returned, outcome) =>
            {
                var result = await ((ValueTask<T>)returned!).ConfigureAwait(false);
                await (inner is null ? outcome.WriteAsync(result) : inner(result, outcome)).ConfigureAwait(false);
            };

            private static Func<object?, Outcome, Task> Items<T>(Func<object?, Outcome, Task>? _) => static (returned, outcome) =>
                outcome.GenerateAsync((IAsyncEnumerable<T>)returned!, static (writer, item) => writer.WriteAsync(null, item));

            private static Func<object?, Outcome, Task> Keyed<T>(Func<object?, Outcome, Task>? _) => static (returned, outcome) =>
                outcome.GenerateAsync((IAsyncEnumerable<(long Key, T Value)>)returned!, static (writer, item) => writer.WriteAsync(item.Key, item.Value));
        }
    }

    /// <summary>Of a scope of services: the execution that it is for.</summary>
    internal sealed class PerperScopeService
    {
        internal PerperExecutionData? CurrentExecution { get; set; }
    }
}
