using System;
using System.Threading;
using System.Threading.Tasks;

using Perper.Model;
using Perper.Protocol;

namespace Perper.Extensions
{
    /// <summary>
    /// The execution that the surrounding code runs in: set around each handler, and kept by the tasks that it starts. Where
    /// none is set, that of the process serves: of its agent, or of <see cref="ConnectAsync"/>.
    /// </summary>
    public static class PerperContext
    {
        private static Scope? processDefault;

        /// <summary>The instance.</summary>
        public static PerperAgent Agent => Current.CurrentAgent;

        /// <summary>The context as an object, for those who pass it explicitly.</summary>
        public static IPerperContext Current => CurrentScope.Context;

        internal static Scope CurrentScope => Scope.Current ?? Volatile.Read(ref processDefault)
            ?? throw PerperException.InvalidArgument("no Perper context: this does not run in a handler, and the process has no connection; call PerperContext.ConnectAsync first, or run an agent");

        /// <summary>The former place of <see cref="PerperAgentsExtensions.StartFunctionName"/>.</summary>
        public static string StartupFunctionName => PerperAgentsExtensions.StartFunctionName;

        /// <summary>Connects, and makes the connection that of code outside of handlers.</summary>
        public static async Task<FabricService> ConnectAsync(FabricConfiguration? configuration = null, CancellationToken cancellationToken = default)
        {
            var fabric = await FabricService.ConnectAsync(configuration, cancellationToken).ConfigureAwait(false);
            SetDefault(fabric.DefaultScope);
            return fabric;
        }

        internal static void SetDefault(Scope scope) => Volatile.Write(ref processDefault, scope);

        internal static void ClearDefault(Scope scope) => Interlocked.CompareExchange(ref processDefault, null, scope);

        /// <summary>Starts an instance of an agent. It goes with the current one.</summary>
        public static Task<PerperAgent> StartAgentAsync(string agent, params object?[] parameters) => Current.CreateAgentAsync(agent, parameters);

        /// <summary>Starts an instance of an agent, and gives what its <c>Start</c> returned.</summary>
        public static Task<(PerperAgent Agent, TResult Result)> StartAgentAsync<TResult>(string agent, params object?[] parameters) => Current.CreateAgentAsync<TResult>(agent, parameters);

        /// <summary>Calls the current instance and waits for the result. A <see cref="CancellationToken"/> among the parameters is the call's own.</summary>
        public static Task<TResult> CallAsync<TResult>(string @delegate, params object?[] parameters) => Current.CallAsync<TResult>(@delegate, parameters);

        /// <summary>Calls the current instance and waits until it has answered.</summary>
        public static Task CallAsync(string @delegate, params object?[] parameters) => Current.CallAsync(@delegate, parameters);

        /// <summary>A stream that a delegate of the current instance will fill.</summary>
        public static PerperStreamBuilder Stream(string @delegate) => new(@delegate);

        /// <summary>A stream that anybody may write.</summary>
        public static PerperStreamBuilder BlankStream() => new(null);

        /// <summary>How many workers have been given the current execution, this one included; 0 outside of one.</summary>
        public static int Attempt => (int)(CurrentScope.Activation?.Attempt ?? 0);

        /// <summary>What is left until the deadline; null where there is none.</summary>
        public static TimeSpan? Remaining
        {
            get
            {
                var execution = CurrentScope.Invocation == 0 ? null : CurrentScope.Activation?.Deadline;
                var deadline = (execution, Scope.Deadline) switch
                {
                    ({ } one, { } other) => Math.Min(one, other),
                    var (one, other) => one ?? other,
                };
                return deadline is { } at ? TimeSpan.FromMilliseconds(Math.Max(0, at - Environment.TickCount64)) : null;
            }
        }

        /// <summary>The trace that the current execution belongs to, as W3C writes it; null outside of one.</summary>
        public static string? TraceParent => CurrentScope.Activation?.TraceParent is { Length: > 0 } trace ? trace : null;

        /// <summary>
        /// Until the result is disposed, calls of the surrounding code and of all that they call must be over within a
        /// time. An earlier deadline stays.
        /// </summary>
        public static IDisposable WithTimeout(TimeSpan timeout)
        {
            var (former, mine) = (Scope.Deadline, Environment.TickCount64 + (long)timeout.TotalMilliseconds);
            Scope.Deadline = former is { } earlier ? Math.Min(earlier, mine) : mine;
            return new Restoring(() => Scope.Deadline = former);
        }

        internal sealed class Restoring : IDisposable
        {
            private Action? restore;

            internal Restoring(Action restore) => this.restore = restore;

            public void Dispose() => Interlocked.Exchange(ref restore, null)?.Invoke();
        }
    }
}
