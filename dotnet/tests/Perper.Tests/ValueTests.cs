using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using System.Numerics;

using Perper.Model;
using Perper.Protocol;

using Xunit;

namespace Perper.Tests
{
    public class ValueTests
    {
        public enum Colour
        {
            DarkRed,

            [PerperName("verde")]
            Green,
        }

        public record Person(string FirstName, int Age = 18, string? Note = null);

        public class Mutable
        {
            public Guid Id { get; set; }

            public List<Person> People { get; set; } = new();

            public Dictionary<string, decimal> Prices { get; init; } = new();

            [PerperName("colour_of_hair")]
            public Colour Hair { get; set; }

            [PerperIgnore]
            public string Secret { get; set; } = "unset";

            public int Field;

            public int Twice => Field * 2;
        }

        public struct Point
        {
            public Point(double x, double y)
            {
                X = x;
                Y = y;
            }

            public double X { get; }

            public double Y { get; }
        }

        public struct Plain
        {
            public int A { get; set; }

            public string? B { get; set; }
        }

        public sealed class Node
        {
            public Node? Next { get; set; }
        }

        private static T Back<T>(T value) => PerperValues.Deserialize<T>(PerperValues.Serialize(value));

        [Fact]
        public void WhatIsWrittenIsReadAgain()
        {
            Assert.True(Back(true));
            foreach (var number in new[] { 0, 23, 24, -1, -25, int.MaxValue, int.MinValue })
            {
                Assert.Equal(number, Back(number));
            }

            Assert.Equal(ulong.MaxValue, Back(ulong.MaxValue));
            Assert.Equal(long.MinValue, Back(long.MinValue));
            Assert.Equal(BigInteger.Pow(10, 40), Back(BigInteger.Pow(10, 40)));
            Assert.Equal(-BigInteger.Pow(10, 40), Back(-BigInteger.Pow(10, 40)));
            Assert.Equal(1.5, Back(1.5));
            Assert.Equal(1.5f, Back(1.5f));
            Assert.Equal('x', Back('x'));
            Assert.Equal("häß 😀", Back("häß 😀"));
            Assert.Null(Back<string?>(null));
            Assert.Null(Back<int?>(null));
            Assert.Equal(5, Back<int?>(5));
            Assert.Equal(new byte[] { 1, 2 }, Back(new byte[] { 1, 2 }));
            Assert.Equal(new byte[] { 1, 2 }, Back<ReadOnlyMemory<byte>>(new byte[] { 1, 2 }).ToArray());
            Assert.Equal(new[] { "a", null }, Back(new[] { "a", null }));
            Assert.Equal(new[] { 1, 2 }, Back(ImmutableArray.Create(1, 2)));
            Assert.Equal(new[] { 1, 2 }, Back<IReadOnlyList<int>>(new[] { 1, 2 }));
            Assert.Equal(new[] { 1, 2 }, Back(new Queue<int>(new[] { 1, 2 })));
            Assert.True(Back(new HashSet<int> { 1, 2 }).SetEquals(new[] { 1, 2 }));
            Assert.Equal(new Dictionary<int, string> { [1] = "a" }, Back(new Dictionary<int, string> { [1] = "a" }));
            Assert.Equal((1, "a"), Back((1, "a")));
            Assert.Equal((1, 2, 3, 4, 5, 6, 7, 8, 9), Back((1, 2, 3, 4, 5, 6, 7, 8, 9)));
            Assert.Equal(Tuple.Create(1, "a"), Back(Tuple.Create(1, "a")));
            var id = Guid.Parse("01234567-89ab-cdef-0123-456789abcdef");
            Assert.Equal(id, Back(id));
            Assert.EndsWith("0123456789ABCDEF0123456789ABCDEF", Convert.ToHexString(PerperValues.Serialize(id)));
            foreach (var number in new[] { 0m, 1.50m, -123.456m, decimal.MaxValue, decimal.MinValue, 0.0000000000000000000000000001m })
            {
                Assert.Equal(number, Back(number));
            }

            var time = new DateTimeOffset(2024, 2, 29, 12, 0, 0, 123, TimeSpan.FromHours(-3.5)).AddTicks(4);
            Assert.Equal(time, Back(time));
            Assert.Equal(time.Offset, Back(time).Offset);
            Assert.Equal(Colour.DarkRed, Back(Colour.DarkRed));
            Assert.Equal("verde", PerperValues.Deserialize<string>(PerperValues.Serialize(Colour.Green)));
            Assert.Equal(DayOfWeek.Friday, PerperValues.Deserialize<DayOfWeek>(PerperValues.Serialize("friday")));
        }

        [Fact]
        public void ObjectsAreMapsOfTheirMembers()
        {
            Assert.Equal(new Person("Ada", 36, "first"), Back(new Person("Ada", 36, "first")));
            var mutable = new Mutable { Id = Guid.NewGuid(), People = { new Person("Ada") }, Prices = { ["apple"] = 1.5m }, Hair = Colour.Green, Field = 4, Secret = "x" };
            var back = Back(mutable);
            Assert.Equal((mutable.Id, Colour.Green, 4, "unset"), (back.Id, back.Hair, back.Field, back.Secret));
            Assert.Equal(mutable.People, back.People);
            Assert.Equal(mutable.Prices, back.Prices);
            var map = PerperValues.Deserialize<Dictionary<string, object?>>(PerperValues.Serialize(mutable));
            Assert.Equal(new[] { "colour_of_hair", "field", "id", "people", "prices", "twice" }, map.Keys.OrderBy(key => key, StringComparer.Ordinal));
            Assert.Equal((1.0, 2.0), (Back(new Point(1, 2)).X, Back(new Point(1, 2)).Y));
            Assert.Equal((3, "b"), (Back(new Plain { A = 3, B = "b" }).A, Back(new Plain { A = 3, B = "b" }).B));
            Assert.Equal(7L, PerperValues.Deserialize<Dictionary<string, object?>>(PerperValues.Serialize(new { SomeNumber = 7 }))["someNumber"]);
            object boxed = new Person("Ada");
            Assert.Equal("Ada", PerperValues.Deserialize<Person>(PerperValues.Serialize(boxed)).FirstName);
        }

        [Fact]
        public void NamesMatchExactlyThenLoosely()
        {
            Person Read(object map) => PerperValues.Deserialize<Person>(PerperValues.Serialize(map));
            Assert.Equal(new Person("Ada", 5), Read(new Dictionary<string, object> { ["first_name"] = "Ada", ["AGE"] = 5 }));
            // An exact match wins wherever it stands.
            Assert.Equal("exact", Read(new Dictionary<string, object> { ["FIRST_NAME"] = "loose", ["firstName"] = "exact" }).FirstName);
            Assert.Equal("exact", Read(new Dictionary<string, object> { ["firstName"] = "exact", ["FIRST_NAME"] = "loose" }).FirstName);
            // What is unknown is ignored, what is missing gets its default.
            Assert.Equal(18, Read(new Dictionary<object, object> { ["firstName"] = "Ada", ["unknown"] = new[] { 1 }, [5] = 6 }).Age);
        }

        [Fact]
        public void NumbersAreReadAsTheTypeThatIsAskedFor()
        {
            Assert.Equal(2.0, PerperValues.Deserialize<double>(PerperValues.Serialize(2)));
            Assert.Equal(2, PerperValues.Deserialize<int>(PerperValues.Serialize(2.0)));
            Assert.Equal(2m, PerperValues.Deserialize<decimal>(PerperValues.Serialize(2)));
            Assert.Equal("range", Assert.Throws<PerperValueException>(() => PerperValues.Deserialize<byte>(PerperValues.Serialize(256))).Kind);
            Assert.Equal("range", Assert.Throws<PerperValueException>(() => PerperValues.Deserialize<long>(PerperValues.Serialize(ulong.MaxValue))).Kind);
            Assert.Equal("type", Assert.Throws<PerperValueException>(() => PerperValues.Deserialize<int>(PerperValues.Serialize(2.5))).Kind);
            Assert.Equal("type", Assert.Throws<PerperValueException>(() => PerperValues.Deserialize<int>(PerperValues.Serialize("2"))).Kind);
        }

        [Fact]
        public void WhatCannotBeAValueIsToldWithItsPlace()
        {
            var cycle = new Node();
            cycle.Next = cycle;
            Assert.Equal("depth", Assert.Throws<PerperValueException>(() => PerperValues.Serialize(cycle)).Kind);
            var error = Assert.Throws<PerperValueException>(() => PerperValues.Serialize(new object[] { 1, new { Run = (Action)(() => { }) } }));
            Assert.StartsWith("[1]['run']: ", error.Message);
            error = Assert.Throws<PerperValueException>(() => PerperValues.Serialize(new { When = new DateTime(2024, 1, 1) }));
            Assert.StartsWith("['when']: ", error.Message);
            Assert.Throws<PerperValueException>(() => PerperValues.Serialize("half of a pair \ud800"));
            Assert.Throws<PerperValueException>(() => PerperValues.Serialize((Colour)77));
            Assert.Throws<PerperValueException>(() => PerperValues.Serialize(TimeSpan.Zero));
            error = Assert.Throws<PerperValueException>(() => PerperValues.Deserialize<List<Person>>(PerperValues.Serialize(new[] { new { firstName = 1 } })));
            Assert.Equal("[0]['firstName']", error.Path);
        }

        [Fact]
        public void ReferencesStandAnywhereAndKeepWhatIsUnknown()
        {
            var stream = new PerperStream("s", 5, 2, true);
            var back = Back(new[] { stream })[0];
            Assert.Equal(("s", 5L, 2L, true), (back.Stream, back.StartIndex, back.Stride, back.LocalToData));
            Assert.Equal(stream, back);
            Assert.NotEqual(stream, stream.Replay(6));
            Assert.Equal(new PerperAgent("A", "i"), Back<object>(new PerperAgent("A", "i")));
            // 27(["perper.Agent", "A", {"instance": "i", "future": 1, "capability": h'00'}])
            var encoded = Convert.FromHexString("D81B836C7065727065722E4167656E746141A368696E7374616E63656169666675747572650" + "16A6361706162696C6974794100");
            var agent = PerperValues.Deserialize<PerperAgent>(encoded);
            Assert.Equal("i", agent.Instance);
            Assert.Equal(PerperValues.Canonicalise(encoded), PerperValues.Canonicalise(PerperValues.Serialize(agent)));
            Assert.Throws<PerperValueException>(() => PerperValues.Deserialize<PerperStream>(encoded));
            Assert.Equal("future.Kind", PerperValues.Deserialize<PerperReference>(PerperValues.Serialize(new PerperReference("future.Kind", "x"))).ReferenceType);
        }

        [PerperConverter(typeof(CelsiusConverter))]
        public readonly record struct Celsius(double Degrees);

        public sealed class CelsiusConverter : ValueConverter<Celsius>
        {
            public override void Write(ValueWriter writer, Celsius value) => writer.WriteText(FormattableString.Invariant($"{value.Degrees} °C"));

            public override Celsius Read(ref ValueReader reader) => new(double.Parse(reader.ReadText().Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture));
        }

        [Fact]
        public void ATypeMayHaveAConverterOfItsOwn()
        {
            Assert.Equal(new Celsius(36.6), Back(new Celsius(36.6)));
            Assert.Equal("36.6 °C", PerperValues.Deserialize<string>(PerperValues.Serialize(new Celsius(36.6))));
        }
    }
}
