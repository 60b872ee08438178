using System;
using System.Linq;

using Perper.Model;

namespace Perper.Application
{
    /// <summary>How the streams of a generator are made where it is called without one.</summary>
    [AttributeUsage(AttributeTargets.Method)]
    public sealed class PerperStreamOptionsAttribute : Attribute
    {
        /// <summary>The options.</summary>
        public PerperStreamOptions Options { get; } = new();

        /// <inheritdoc cref="PerperStreamOptions.Persistent" />
        public bool Persistent { get => Options.Persistent; set => Options.Persistent = value; }

        /// <inheritdoc cref="PerperStreamOptions.Action" />
        public bool Action { get => Options.Action; set => Options.Action = value; }

        /// <inheritdoc cref="PerperStreamOptions.Packed" />
        public bool Packed { get => Options.Packed; set => Options.Packed = value; }

        /// <inheritdoc cref="PerperStreamOptions.Stride" />
        public long Stride { get => Options.Stride; set => Options.Stride = value; }

        /// <inheritdoc cref="PerperStreamOptions.FirstKey" />
        public long FirstKey { get => Options.FirstKey; set => Options.FirstKey = value; }

        /// <inheritdoc cref="PerperStreamOptions.IndexTypes" />
        public Type[] IndexTypes { get => Options.IndexTypes.ToArray(); set => Options.IndexTypes = value; }

        /// <inheritdoc cref="PerperStreamOptions.ResumeBySkipping" />
        public bool ResumeBySkipping { get => Options.ResumeBySkipping; set => Options.ResumeBySkipping = value; }

        /// <inheritdoc cref="PerperStreamOptions.PersistenceOptions" />
        public object? PersistenceOptions { get => Options.PersistenceOptions; set => Options.PersistenceOptions = value; }
    }
}
