using System.Collections.Generic;

using Perper.Extensions;
using Perper.Model;

namespace WordCount
{
    /// <summary>Counts the words of lines.</summary>
    public static class Tokenizer
    {
        /// <summary>
        /// The tables of every <paramref name="parts"/>-th line, under the number of the line: so that whoever does this
        /// again after a crash writes nothing twice.
        /// </summary>
        public static async IAsyncEnumerable<(long Number, Dictionary<string, long> Table)> TablesAsync(PerperStream lines, long part, long parts)
        {
            await foreach (var (number, line) in lines.Replay().EnumerateItemsAsync<string>())
            {
                if (number % parts == part)
                {
                    yield return (number, Count(line));
                }
            }
        }

        private static Dictionary<string, long> Count(string line)
        {
            var table = new Dictionary<string, long>();
            for (int start = 0, end = 0; start < line.Length; start = end + 1)
            {
                for (end = start; end < line.Length && line[end] is (>= 'a' and <= 'z') or (>= 'A' and <= 'Z');)
                {
                    end++;
                }

                if (end > start)
                {
                    var word = line.Substring(start, end - start).ToLowerInvariant();
                    table[word] = table.GetValueOrDefault(word) + 1;
                }
            }

            return table;
        }
    }
}
