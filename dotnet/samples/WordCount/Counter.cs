using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading.Channels;
using System.Threading.Tasks;

using Perper.Extensions;
using Perper.Model;

namespace WordCount
{
    /// <summary>Adds up tables in the state of its instance.</summary>
    public static class Counter
    {
        /// <summary>
        /// Words that one change of the state writes at the most; with the places reached it must stay below the limit of
        /// 1,000 operations.
        /// </summary>
        private const int Words = 900;

        /// <summary>Adds up, and says after each change of the state how many tables are in it.</summary>
        public static async IAsyncEnumerable<long> CountAsync(PerperStream[] of)
        {
            var totals = await Totals.LoadAsync(of.Length);
            var tables = Channel.CreateBounded<(int Place, long Number, Dictionary<string, long> Table)>(64);
            var following = Task.WhenAll(of.Select((stream, place) => FollowAsync(stream.Replay(totals.Next[place]), place, tables.Writer)));
            _ = following.ContinueWith(followed => tables.Writer.Complete(followed.Exception?.InnerException), TaskScheduler.Default);
            await foreach (var (place, number, table) in tables.Reader.ReadAllAsync())
            {
                if (totals.Changed + table.Count > Words)
                {
                    await totals.SaveAsync();
                    yield return totals.Added;
                }

                totals.Add(place, number, table);
            }

            await totals.SaveAsync();
            yield return totals.Added;
        }

        private static async Task FollowAsync(PerperStream stream, int place, ChannelWriter<(int, long, Dictionary<string, long>)> tables)
        {
            await foreach (var (number, table) in stream.EnumerateItemsAsync<Dictionary<string, long>>())
            {
                await tables.WriteAsync((place, number, table));
            }
        }

        /// <summary>The words that stand most often, the most frequent first, equal ones in order of the alphabet.</summary>
        public static async IAsyncEnumerable<(string Word, long Count)> TopAsync(int size)
        {
            var words = new List<(string Word, long Count)>();
            await foreach (var (key, value) in PerperState.State.EnumerateItemsAsync<object, long>())
            {
                if (key is string word)
                {
                    words.Add((word, value));
                }
            }

            foreach (var entry in words.OrderByDescending(entry => entry.Count).ThenBy(entry => entry.Word, StringComparer.Ordinal).Take(size))
            {
                yield return entry;
            }
        }
    }

    /// <summary>
    /// The totals, with the place in each input up to which they are added. Both are saved in one batch: so each line counts
    /// once, however often the counter is started again.
    /// </summary>
    internal sealed class Totals
    {
        /// <summary>Keys of the state are words, the numbers of inputs, and this.</summary>
        private const bool AddedKey = true;

        private readonly Dictionary<string, long> words = new();
        private readonly HashSet<string> changed = new();

        private Totals(int inputs) => Next = new long[inputs];

        internal int Changed => changed.Count;

        internal long[] Next { get; }

        internal long Added { get; private set; }

        internal static async Task<Totals> LoadAsync(int inputs)
        {
            var totals = new Totals(inputs);
            await foreach (var (key, value) in PerperState.State.EnumerateItemsAsync<object, long>())
            {
                switch (key)
                {
                    case string word:
                        totals.words[word] = value;
                        break;
                    case long input:
                        totals.Next[input] = value;
                        break;
                    default:
                        totals.Added = value;
                        break;
                }
            }

            return totals;
        }

        internal void Add(int input, long number, Dictionary<string, long> table)
        {
            foreach (var (word, count) in table)
            {
                words[word] = words.GetValueOrDefault(word) + count;
                changed.Add(word);
            }

            Next[input] = number + 1;
            Added++;
        }

        internal async Task SaveAsync()
        {
            var batch = new PerperDictionaryBatch().Set(AddedKey, Added);
            for (var input = 0; input < Next.Length; input++)
            {
                batch.Set(input, Next[input]);
            }

            foreach (var word in changed)
            {
                batch.Set(word, words[word]);
            }

            changed.Clear();
            await PerperState.State.ApplyAsync(batch);
        }
    }
}
