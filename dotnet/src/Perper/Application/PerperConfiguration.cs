using System;

namespace Perper.Application
{
    /// <summary>What an agent process is told from outside: the configuration section <c>Perper</c>.</summary>
    public class PerperConfiguration
    {
        /// <summary>Kept so that programs written for earlier versions compile; there is one endpoint, the Fabric's.</summary>
        public string IgniteEndpoint { get; set; } = "127.0.0.1:10800";

        /// <summary>Where the Fabric is; null: <c>PERPER_FABRIC_ENDPOINT</c>, or <c>http://127.0.0.1:40400</c>.</summary>
        public string? FabricEndpoint { get; set; }

        /// <summary>The only agent to serve; null: <c>X_PERPER_AGENT</c>, or every one that the program has handlers for.</summary>
        public string? Agent { get; set; }

        /// <summary>The only instance to serve; null: <c>X_PERPER_INSTANCE</c>, or all.</summary>
        public string? Instance { get; set; }

        /// <summary>How many executions are worked on at once. Generators of streams and handlers that wait for a call do not count.</summary>
        public int Concurrency { get; set; } = 1024;

        /// <summary>How long a process that is stopping waits for what is in flight. The rest is given back then. The host's own shutdown timeout counts, too.</summary>
        public TimeSpan Grace { get; set; } = TimeSpan.FromSeconds(30);
    }
}
