using System.Collections.Generic;
using System.Linq;
using System.Threading.Tasks;

using Perper.Application;
using Perper.Extensions;
using Perper.Model;

using Xunit;

namespace Perper.Tests
{
    public class StateTests
    {
        [Fact]
        public async Task ADictionaryDoesWhatItsOperationsSay()
        {
            await using var processes = await Processes.StartAsync();
            var states = processes.Client.States;
            var dictionary = await states.CreateDictionaryAsync();
            Assert.Equal((false, 0), await states.TryGetAsync<string, int>(dictionary, "a"));
            await states.SetAsync(dictionary, "a", 1);
            Assert.Equal((true, 1), await states.TryGetAsync<string, int>(dictionary, "a"));
            Assert.False(await states.SetIfNotExistingAsync(dictionary, "a", 2));
            Assert.True(await states.SetIfNotExistingAsync(dictionary, "b", 2));
            Assert.False(await states.SetIfNotChangedAsync(dictionary, "a", 5, 6));
            Assert.True(await states.SetIfNotChangedAsync(dictionary, "a", 1, 6));
            Assert.Equal((true, 6), await states.TryGetAndReplaceAsync(dictionary, "a", 7));
            Assert.Equal((false, 0), await states.TryGetAndReplaceAsync(dictionary, "absent", 7));
            Assert.Equal(2, await states.CountAsync(dictionary));
            Assert.Equal(new[] { ("a", 7), ("b", 2) }, (await StreamTests.ListAsync(states.EnumerateItemsAsync<string, int>(dictionary))).OrderBy(entry => entry.Key));
            Assert.True(await states.ContainsKeyAsync(dictionary, "b"));
            Assert.False(await states.RemoveIfNotChangedAsync(dictionary, "b", 3));
            Assert.True(await states.RemoveIfNotChangedAsync(dictionary, "b", 2));
            Assert.False(await states.RemoveAsync(dictionary, "b"));
            Assert.Equal((true, 7), await states.TryGetAndRemoveAsync<string, int>(dictionary, "a"));
            Assert.Equal(5, await states.GetOrDefaultAsync(dictionary, "a", 5));
            Assert.Empty(await states.GetOrNewAsync<string, List<int>>(dictionary, "list"));
            await states.ClearAsync(dictionary);
            Assert.Equal(0, await states.CountAsync(dictionary));
            await states.DestroyAsync(dictionary);
        }

        [Fact]
        public async Task AListDoesWhatItsOperationsSay()
        {
            await using var processes = await Processes.StartAsync();
            var states = processes.Client.States;
            var list = await states.CreateListAsync();
            foreach (var word in new[] { "a", "b", "c" })
            {
                await states.AddAsync(list, word);
            }

            await states.InsertAtAsync(list, 1, "x");
            Assert.Equal(new[] { "a", "x", "b", "c" }, await StreamTests.ListAsync(states.EnumerateAsync<string>(list)));
            Assert.Equal(2, await states.IndexOfAsync(list, "b"));
            Assert.Equal(-1, await states.IndexOfAsync(list, "z"));
            Assert.True(await states.ContainsAsync(list, "c"));
            Assert.Equal("x", await states.GetAtAsync<string>(list, 1));
            await states.SetAtAsync(list, 1, "y");
            Assert.True(await states.RemoveAsync(list, "y"));
            Assert.False(await states.RemoveAsync(list, "y"));
            Assert.Equal("c", await states.PopAsync<string>(list));
            Assert.Equal("a", await states.DequeueAsync<string>(list));
            await states.RemoveAtAsync(list, 0);
            Assert.Equal(0, await states.CountAsync(list));
            var error = await Assert.ThrowsAsync<PerperException>(() => states.PopAsync<string>(list));
            Assert.Equal("INDEX_OUT_OF_RANGE", error.Reason);
            await states.ClearAsync(list);
            await states.DestroyAsync(list);
        }

        [Fact]
        public async Task EachInstanceHasItsOwnStateWhichGoesWithIt()
        {
            await using var processes = await Processes.StartAsync(perper => perper
                .AddHandler("Basket", "Add", async (string item) =>
                {
                    var count = await PerperState.GetOrDefaultAsync(item, 0) + 1;
                    await PerperState.SetAsync(item, count);
                    return count;
                })
                .AddHandler("Basket", "Start", (string owner) => $"{owner}'s basket"));
            var agents = processes.Client.Agents;
            var (mine, greeting) = await agents.CreateAsync<string>(null, "Basket", "Ada");
            var yours = await agents.CreateAsync(null, "Basket", "Bob");
            Assert.Equal("Ada's basket", greeting);
            Assert.Equal(1, await processes.Client.CallAsync<int>(mine, "Add", "apple"));
            Assert.Equal(2, await processes.Client.CallAsync<int>(mine, "Add", "apple"));
            Assert.Equal(1, await processes.Client.CallAsync<int>(yours, "Add", "apple"));
            Assert.True(await agents.DestroyAsync(mine));
            Assert.False(await agents.DestroyAsync(mine));
            Assert.Equal(2, await processes.Client.CallAsync<int>(yours, "Add", "apple"));
        }
    }
}
