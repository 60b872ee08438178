using System;
using System.Threading.Tasks;

namespace Perper.Model
{
    /// <summary>What is often wanted of dictionaries and lists.</summary>
    public static class PerperStatesExtensions
    {
        /// <summary>Creates a dictionary.</summary>
        public static async Task<PerperDictionary> CreateDictionaryAsync(this IPerperStates states, PerperStateOptions? options = null)
        {
            var (dictionary, create) = states.CreateDictionary(options);
            await create().ConfigureAwait(false);
            return dictionary;
        }

        /// <summary>Creates a list.</summary>
        public static async Task<PerperList> CreateListAsync(this IPerperStates states, PerperStateOptions? options = null)
        {
            var (list, create) = states.CreateList(options);
            await create().ConfigureAwait(false);
            return list;
        }

        /// <summary>The value of a key, or another where it is absent.</summary>
        public static async Task<TValue> GetOrDefaultAsync<TKey, TValue>(this IPerperStates states, PerperDictionary dictionary, TKey key, TValue @default = default!)
        {
            var (exists, value) = await states.TryGetAsync<TKey, TValue>(dictionary, key).ConfigureAwait(false);
            return exists ? value : @default;
        }

        /// <summary>The value of a key; where it is absent, a new one is made and written.</summary>
        public static Task<TValue> GetOrNewAsync<TKey, TValue>(this IPerperStates states, PerperDictionary dictionary, TKey key) where TValue : new() =>
            states.GetOrNewAsync(dictionary, key, () => new TValue());

        /// <summary>The value of a key; where it is absent, a new one is made and written, unless somebody else was faster.</summary>
        public static async Task<TValue> GetOrNewAsync<TKey, TValue>(this IPerperStates states, PerperDictionary dictionary, TKey key, Func<TValue> createFunc)
        {
            while (true)
            {
                var (exists, value) = await states.TryGetAsync<TKey, TValue>(dictionary, key).ConfigureAwait(false);
                if (exists)
                {
                    return value;
                }

                value = createFunc();
                if (await states.SetIfNotExistingAsync(dictionary, key, value).ConfigureAwait(false))
                {
                    return value;
                }
            }
        }
    }
}
