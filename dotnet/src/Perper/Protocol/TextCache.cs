using System;
using System.Text;

namespace Perper.Protocol
{
    /// <summary>
    /// Remembers texts that have been decoded: names of agents, instances and delegates come with every execution, and there
    /// are few of them. Bounded; a text that finds its place taken by another takes it over. Not for several threads.
    /// </summary>
    internal sealed class TextCache
    {
        private const int Places = 256;

        private readonly (byte[] Utf8, string Text)[] places = new (byte[], string)[Places];

        internal string Read(ref RecordReader record)
        {
            var utf8 = record.ReadBytes().Span;
            if (utf8.IsEmpty)
            {
                return "";
            }

            // Ids that were made one after another differ at their ends.
            var hash = new HashCode();
            hash.AddBytes(utf8.Length > 16 ? utf8.Slice(utf8.Length - 16) : utf8);
            ref var place = ref places[(uint)hash.ToHashCode() % Places];
            if (place.Utf8 is null || !utf8.SequenceEqual(place.Utf8))
            {
                place = (utf8.ToArray(), Encoding.UTF8.GetString(utf8));
            }

            return place.Text;
        }
    }
}
