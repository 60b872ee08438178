using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;

using Perper.Tests.Fixture;

using Xunit;

namespace Perper.Tests
{
    /// <summary>What the generator writes, on a library that exports something of every shape.</summary>
    public class GeneratorTests
    {
        private static Everything Value() => new(
            -8, 8, short.MinValue, ushort.MaxValue, int.MinValue, uint.MaxValue, long.MinValue, ulong.MaxValue,
            1.5f, -2.25, true, "text: ä 😀", new byte[] { 0, 255 }, null, 7,
            new List<string> { "a", "" },
            new Dictionary<string, long> { ["one"] = 1, ["minus"] = -1 },
            new HashSet<string> { "x", "y" },
            Colour.DarkGreen,
            new Shape.Polygon(new List<double> { 1, 2.5 }, true),
            new List<Pair?> { new("left", new Shape.Circle(2)), null, new("", new Shape.Point()) });

        private static void Same(Everything expected, Everything found)
        {
            Assert.Equal(
                (expected.I8, expected.U8, expected.I16, expected.U16, expected.I32, expected.U32, expected.I64),
                (found.I8, found.U8, found.I16, found.U16, found.I32, found.U32, found.I64));
            Assert.Equal(
                (expected.U64, expected.F32, expected.F64, expected.Bool, expected.Text, expected.Absent, expected.Present),
                (found.U64, found.F32, found.F64, found.Bool, found.Text, found.Absent, found.Present));
            Assert.Equal(expected.Bytes, found.Bytes);
            Assert.Equal(expected.Texts, found.Texts);
            Assert.Equal(expected.Numbers, found.Numbers);
            Assert.True(expected.Set.SetEquals(found.Set));
            Assert.Equal(expected.Colour, found.Colour);
            Assert.Equal(((Shape.Polygon)expected.Shape).Item1, ((Shape.Polygon)found.Shape).Item1);
            Assert.Equal(expected.Nested, found.Nested);
        }

        [Fact]
        public async Task ValuesOfEveryTypeCross()
        {
            Same(Value(), PerperUniffiFixtureFunctions.Echo(Value()));
            Same(Value(), await PerperUniffiFixtureFunctions.EchoLaterAsync(Value()));
            Assert.Equal(510UL, PerperUniffiFixtureFunctions.Sum(new byte[] { 255, 255 }));
            Assert.Equal(0UL, PerperUniffiFixtureFunctions.Sum(default));
        }

        [Fact]
        public async Task ErrorsAreExceptionsOfTheirVariant()
        {
            Assert.True(PerperUniffiFixtureFunctions.Check(0));
            Assert.Equal(1, Assert.Throws<TroubleException.Small>(() => PerperUniffiFixtureFunctions.Check(1)).Size);
            Assert.Equal("5", Assert.Throws<TroubleException.Large>(() => PerperUniffiFixtureFunctions.Check(5)).What);
            await PerperUniffiFixtureFunctions.CheckLaterAsync(0);
            Assert.Equal("the first of 1", (await Assert.ThrowsAsync<FlatException.First>(() => PerperUniffiFixtureFunctions.CheckLaterAsync(1))).Message);
            await Assert.ThrowsAsync<FlatException.Second>(() => PerperUniffiFixtureFunctions.CheckLaterAsync(2));
            Assert.Contains("on purpose", Assert.Throws<UniffiPanicException>(() => PerperUniffiFixtureFunctions.PanicWith("on purpose")).Message);
        }

        [Fact]
        public async Task ObjectsLiveAsLongAsTheirHandles()
        {
            var before = PerperUniffiFixtureFunctions.Live();
            using (var counter = Counter.Create(5))
            using (var other = await Counter.ParsedAsync("7"))
            {
                Assert.Equal(6, counter.Add(1));
                Assert.Equal(7, await counter.AddLaterAsync(1));
                Assert.Equal(before + 2, PerperUniffiFixtureFunctions.Live());
                using var larger = counter.Larger(other);
                Assert.Equal(8, larger.Add(1));
                Assert.Equal(8, counter.Add(0));
                await Assert.ThrowsAsync<TroubleException.Large>(() => Counter.ParsedAsync("seven"));
            }

            Assert.Equal(before, PerperUniffiFixtureFunctions.Live());
            var gone = Counter.Create(0);
            gone.Dispose();
            gone.Dispose();
            Assert.Throws<ObjectDisposedException>(() => { gone.Add(1); });
        }

        [Fact]
        public async Task AFutureIsCancelledAndFreed()
        {
            using var counter = Counter.Create(0);
            for (var round = 0; round < 100; round++)
            {
                using var source = new CancellationTokenSource();
                var waiting = counter.NeverAsync(source.Token);
                Assert.False(waiting.IsCompleted);
                source.Cancel();
                await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
            }

            using var already = new CancellationTokenSource();
            already.Cancel();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => counter.NeverAsync(already.Token));
        }

        [Fact]
        public async Task ManyFuturesAtOnceEachGetTheirOwn()
        {
            using var counter = Counter.Create(0);
            var sums = await Task.WhenAll(Enumerable.Range(0, 500).Select(_ => counter.AddLaterAsync(1)));
            Assert.Equal(Enumerable.Range(1, 500).Select(sum => (long)sum), sums.OrderBy(sum => sum));
        }
    }
}
