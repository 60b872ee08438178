using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace Perper.Application.Listeners
{
    /// <summary>Something that runs as long as the host does and answers for an agent.</summary>
    public interface IPerperListener : IHostedService
    {
        /// <summary>The agent.</summary>
        string Agent { get; }
    }

    /// <summary>What of the application this process serves, where a scaler has said so.</summary>
    /// <param name="Agent">This agent only.</param>
    /// <param name="Instance">This instance only.</param>
    public record PerperListenerFilter(string? Agent, string? Instance)
    {
        /// <summary>As the configuration says.</summary>
        public PerperListenerFilter(IOptions<PerperConfiguration> options) : this(options.Value.Agent, options.Value.Instance)
        {
        }
    }
}
