using System.Collections.Generic;

namespace Perper.Model
{
    /// <summary>Several results of a call, where their number is known at run time only; otherwise use a <see cref="System.ValueTuple"/>.</summary>
    public sealed class PerperResults
    {
        /// <summary>Creates results.</summary>
        public PerperResults(params object?[] values) => Values = values;

        /// <summary>The results.</summary>
        public IReadOnlyList<object?> Values { get; }
    }
}
