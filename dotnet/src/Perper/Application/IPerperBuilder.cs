using System;

using Microsoft.Extensions.DependencyInjection;

using Perper.Application.Listeners;

namespace Perper.Application
{
    /// <summary>Says what a process answers for.</summary>
    public interface IPerperBuilder
    {
        /// <summary>Adds a listener; it runs as long as the host does.</summary>
        IPerperBuilder AddListener(Func<IServiceProvider, IPerperListener> listenerFactory);
    }

    internal sealed class PerperBuilder : IPerperBuilder
    {
        private readonly IServiceCollection services;

        internal PerperBuilder(IServiceCollection services) => this.services = services;

        public IPerperBuilder AddListener(Func<IServiceProvider, IPerperListener> listenerFactory)
        {
            services.AddSingleton(listenerFactory);
            return this;
        }
    }
}
