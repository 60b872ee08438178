using System.Collections.Generic;
using System.Linq;
using System.Threading.Tasks;

namespace Perper.Extensions
{
    /// <summary>What is often wanted of queries.</summary>
    public static class QueriableExtensions
    {
        /// <summary>What a query finds, without blocking whoever asks: it is enumerated on threads of the pool.</summary>
        public static async IAsyncEnumerable<T> ToAsyncEnumerable<T>(this IQueryable<T> queryable)
        {
            using var enumerator = queryable.GetEnumerator();
            while (await Task.Run(enumerator.MoveNext).ConfigureAwait(false))
            {
                yield return enumerator.Current;
            }
        }
    }
}
