using System;
using System.Linq;
using System.Reflection;
using System.Threading;
using System.Threading.Tasks;

using Perper.Protocol;

namespace Perper.Model
{
    /// <summary>What is often wanted of calls.</summary>
    public static class PerperExecutionsExtensions
    {
        /// <summary>Makes a call without waiting for its result.</summary>
        public static async Task<PerperExecution> CreateAsync(this IPerperExecutions executions, PerperAgent agent, string @delegate, params object?[] arguments)
        {
            var (execution, start) = executions.Create(agent, @delegate);
            await start(arguments).ConfigureAwait(false);
            return execution;
        }

        /// <summary>Calls an instance and waits for the result. A <see cref="CancellationToken"/> among the arguments is the call's own.</summary>
        public static Task<TResult> CallAsync<TResult>(this IPerperExecutions executions, PerperAgent agent, string @delegate, params object?[] arguments) =>
            executions.CallAsync<TResult>(agent, @delegate, arguments, CancellationToken.None);

        /// <summary>Calls an instance and waits until it has answered.</summary>
        public static Task CallAsync(this IPerperExecutions executions, PerperAgent agent, string @delegate, params object?[] arguments) =>
            executions.CallAsync<ScopedPerper.Nothing>(agent, @delegate, arguments, CancellationToken.None);

        /// <summary>Calls an instance and waits for the result.</summary>
        public static Task<TResult> CallAsync<TResult>(this IPerper perper, PerperAgent agent, string @delegate, params object?[] arguments) =>
            perper.Executions.CallAsync<TResult>(agent, @delegate, arguments);

        /// <summary>Calls an instance and waits until it has answered.</summary>
        public static Task CallAsync(this IPerper perper, PerperAgent agent, string @delegate, params object?[] arguments) =>
            perper.Executions.CallAsync(agent, @delegate, arguments);

        /// <summary>Calls the current instance and waits for the result.</summary>
        public static Task<TResult> CallAsync<TResult>(this IPerperContext context, string @delegate, params object?[] arguments) =>
            context.Executions.CallAsync<TResult>(context.CurrentAgent, @delegate, arguments);

        /// <summary>Calls the current instance and waits until it has answered.</summary>
        public static Task CallAsync(this IPerperContext context, string @delegate, params object?[] arguments) =>
            context.Executions.CallAsync(context.CurrentAgent, @delegate, arguments);

        /// <summary>Prepares a call of the current instance.</summary>
        public static (PerperExecution Execution, DelayedCreateFunc Start) CreateExecution(this IPerperContext context, string @delegate) =>
            context.Executions.Create(context.CurrentAgent, @delegate);

        /// <summary>Makes a call of the current instance without waiting for its result.</summary>
        public static Task<PerperExecution> CreateExecutionAsync(this IPerperContext context, string @delegate, params object?[] arguments) =>
            context.Executions.CreateAsync(context.CurrentAgent, @delegate, arguments);

        /// <summary>Completes an execution with a result of a type that is known at run time only; <c>void</c> is none.</summary>
        public static Task WriteResultAsync(this IPerperExecutions executions, PerperExecution execution, Type resultType, object? result) =>
            resultType == typeof(void)
                ? executions.WriteResultAsync(execution)
                : (Task)WriteResult.MakeGenericMethod(resultType).Invoke(executions, new[] { execution, result })!;

        private static readonly MethodInfo WriteResult = typeof(IPerperExecutions).GetMethods().Single(method => method.Name == nameof(IPerperExecutions.WriteResultAsync) && method.IsGenericMethod);

        /// <summary>Completes an execution with what becomes of a task.</summary>
        public static async Task WriteTaskAsync<TResult>(this IPerperExecutions executions, PerperExecution execution, Task<TResult> task)
        {
            TResult result;
            try
            {
                result = await task.ConfigureAwait(false);
            }
            catch (Exception error)
            {
                await executions.WriteExceptionAsync(execution, error).ConfigureAwait(false);
                return;
            }

            await executions.WriteResultAsync(execution, result).ConfigureAwait(false);
        }

        /// <summary>Cancels an execution, and forgets it.</summary>
        public static Task DestroyExecutionAsync(this IPerper perper, PerperExecution execution) => perper.Executions.DestroyAsync(execution);
    }
}
