using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json;

using Perper.Model;
using Perper.Protocol;

using Xunit;

namespace Perper.Tests
{
    /// <summary>The golden vectors, which every library runs.</summary>
    public class VectorTests
    {
        /// <summary>The repository: the first folder above this one, or above the assembly, that has the vectors.</summary>
        internal static string Root { get; } = new[] { Directory.GetCurrentDirectory(), AppContext.BaseDirectory }
            .SelectMany(Above)
            .First(folder => Directory.Exists(Path.Combine(folder, "conformance", "vectors")));

        private static IEnumerable<string> Above(string folder)
        {
            for (var at = new DirectoryInfo(folder); at is not null; at = at.Parent)
            {
                yield return at.FullName;
            }
        }

        private static JsonElement Read(string name) => JsonDocument.Parse(File.ReadAllText(Path.Combine(Root, "conformance", "vectors", name))).RootElement;

        private static byte[] Hex(JsonElement text) => Convert.FromHexString(text.GetString()!);

        private static string Hex(byte[] bytes) => Convert.ToHexString(bytes).ToLowerInvariant();

        [Fact]
        public void WhatIsAcceptedKeepsItsValueThroughObjects()
        {
            var count = 0;
            foreach (var vector in Read("accepted.json").EnumerateArray())
            {
                var name = vector.GetProperty("name").GetString();
                var encoded = Hex(vector.GetProperty("hex"));
                var value = PerperValues.Deserialize<object?>(encoded);
                var canonical = Hex(PerperValues.Canonicalise(PerperValues.Serialize(value)));
                Assert.Equal((name, vector.GetProperty("canonical").GetString()), (name, canonical));
                if (vector.TryGetProperty("key", out var key))
                {
                    Assert.Equal((name, key.GetString()), (name, Hex(PerperValues.EncodeKey(PerperValues.Serialize(value)))));
                }

                count++;
            }

            Assert.True(count > 100);
        }

        [Fact]
        public void WhatIsRejectedIsSoForTheReasonAndAtThePlace()
        {
            foreach (var vector in Read("rejected.json").EnumerateArray())
            {
                var name = vector.GetProperty("name").GetString();
                PerperValueException? error = null;
                try
                {
                    PerperValues.Deserialize<object?>(Hex(vector.GetProperty("hex")));
                }
                catch (PerperValueException refused)
                {
                    error = refused;
                }

                Assert.Equal((name, vector.GetProperty("reason").GetString(), vector.GetProperty("path").GetString()), (name, error?.Kind, error?.Path));
            }
        }

        [Fact]
        public void KeysAreInTheOrderOfTheirValues()
        {
            byte[]? before = null;
            foreach (var vector in Read("keys.json").EnumerateArray())
            {
                var key = PerperValues.EncodeKey(PerperValues.Serialize(PerperValues.Deserialize<object?>(Hex(vector.GetProperty("hex")))));
                Assert.Equal(vector.GetProperty("key").GetString(), Hex(key));
                Assert.True(before is null || before.AsSpan().SequenceCompareTo(key) < 0);
                before = key;
            }
        }

        [Fact]
        public void EqualityIsThatOfTheCanonicalForm()
        {
            string[] Forms(JsonElement group) => group.GetProperty("hex").EnumerateArray()
                .Select(hex => Hex(PerperValues.Canonicalise(PerperValues.Serialize(PerperValues.Deserialize<object?>(Hex(hex))))))
                .ToArray();
            foreach (var group in Read("equality.json").GetProperty("equal").EnumerateArray())
            {
                Assert.Equal((group.GetProperty("name").GetString(), 1), (group.GetProperty("name").GetString(), Forms(group).Distinct().Count()));
            }

            foreach (var group in Read("equality.json").GetProperty("different").EnumerateArray())
            {
                Assert.Equal((group.GetProperty("name").GetString(), 2), (group.GetProperty("name").GetString(), Forms(group).Distinct().Count()));
            }
        }
    }
}
