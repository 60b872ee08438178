using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.Linq;
using System.Text.Json;

using Perper.Protocol;

namespace Perper.Bench
{
    /// <summary>What the mapper takes for an object, and beside it what System.Text.Json takes for the same.</summary>
    internal static class Values
    {
        private const int Count = 100_000;
        private const int Rounds = 7;

        public sealed record Person(string Name, int Age, double Height, string[] Tags);

        public class Order
        {
            public Guid Id { get; set; }

            public DateTimeOffset At { get; set; }

            public decimal Total { get; set; }

            public List<Line> Lines { get; set; } = new();
        }

        public class Line
        {
            public string Article { get; set; } = "";

            public int Quantity { get; set; }
        }

        public record struct Point(double X, double Y);

        internal static void Measure()
        {
            Console.WriteLine("| one object | bytes | written in | read in | System.Text.Json: bytes | written in | read in |");
            Console.WriteLine("| --- | --- | --- | --- | --- | --- | --- |");
            Measure("a text of 98 letters", new string('x', 98));
            Measure("a record of four members", new Person("Ada Lovelace", 36, 1.7, new[] { "first", "programmer" }));
            Measure("a record struct of two floats", new Point(1.5, -2.5));
            Measure("a class with three lines in it", new Order
            {
                Id = Guid.NewGuid(),
                At = DateTimeOffset.Now,
                Total = 123.45m,
                Lines = Enumerable.Range(1, 3).Select(number => new Line { Article = $"article {number}", Quantity = number }).ToList(),
            });
            Measure("a dictionary of ten texts", Enumerable.Range(0, 10).ToDictionary(number => $"key {number}", number => $"value {number}"));
            Measure("an array of 100 integers", Enumerable.Range(0, 100).ToArray());
        }

        private static void Measure<T>(string what, T value)
        {
            var encoded = PerperValues.Serialize(value);
            var json = JsonSerializer.SerializeToUtf8Bytes(value);
            var (write, read) = (Best(() => PerperValues.Serialize(value)), Best(() => PerperValues.DeserializeTrusted<T>(encoded)));
            var (jsonWrite, jsonRead) = (Best(() => JsonSerializer.SerializeToUtf8Bytes(value)), Best(() => JsonSerializer.Deserialize<T>(json)));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {what} | {encoded.Length} | {write:N0} ns | {read:N0} ns | {json.Length} | {jsonWrite:N0} ns | {jsonRead:N0} ns |"));
        }

        /// <summary>Nanoseconds of one, in the best of some rounds: the first ones are spent by the compiler.</summary>
        private static double Best(Action action)
        {
            var best = double.MaxValue;
            for (var round = 0; round < Rounds; round++)
            {
                var started = Stopwatch.GetTimestamp();
                for (var index = 0; index < Count; index++)
                {
                    action();
                }

                best = Math.Min(best, Stopwatch.GetElapsedTime(started).TotalMilliseconds * 1e6 / Count);
            }

            return best;
        }
    }
}
