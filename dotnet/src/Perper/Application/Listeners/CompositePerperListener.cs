using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;

namespace Perper.Application.Listeners
{
    /// <summary>Several listeners that are added as one.</summary>
    public abstract class CompositePerperListener : IPerperListener
    {
        private IReadOnlyList<IPerperListener> listeners = Array.Empty<IPerperListener>();

        /// <inheritdoc />
        public abstract string Agent { get; }

        /// <summary>The listeners; asked for once, when the host starts.</summary>
        protected abstract IPerperListener[] GetListeners();

        /// <inheritdoc />
        public async Task StartAsync(CancellationToken cancellationToken)
        {
            listeners = GetListeners();
            foreach (var listener in listeners)
            {
                await listener.StartAsync(cancellationToken).ConfigureAwait(false);
            }
        }

        /// <inheritdoc />
        public Task StopAsync(CancellationToken cancellationToken) => Task.WhenAll(listeners.Select(listener => listener.StopAsync(cancellationToken)));

        /// <inheritdoc />
        public override string ToString() => $"{GetType().Name}({Agent})";
    }
}
