using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using System.Threading.Tasks;

using Perper.Application;

namespace WordCount
{
    /// <summary>Reads lines.</summary>
    public static class Reader
    {
        public static long Count(string[] files) => All(files).LongCount();

        // Persistent, so that each tokenizer can begin at the beginning whenever it comes; packed, so that keys are line
        // numbers. Reading again gives the same lines: what the stream has already is skipped.
        [PerperStreamOptions(Persistent = true, Packed = true, ResumeBySkipping = true)]
        public static async IAsyncEnumerable<string> LinesAsync(string[] files)
        {
            foreach (var line in All(files))
            {
                yield return line;
            }

            await Task.CompletedTask;
        }

        /// <summary>Words are ASCII, so whatever else a file holds only separates them.</summary>
        private static IEnumerable<string> All(string[] files) => files.SelectMany(file => File.ReadLines(file, Encoding.Latin1));
    }
}
