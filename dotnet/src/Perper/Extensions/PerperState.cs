using System;
using System.Threading.Tasks;

using Perper.Model;

namespace Perper.Extensions
{
    /// <summary>The dictionary of the current instance: its state. It goes with the instance.</summary>
    public static class PerperState
    {
        /// <summary>The dictionary itself.</summary>
        public static PerperDictionary State => PerperContext.Current.CurrentState;

        /// <summary>The value of a key, if it is present.</summary>
        public static Task<(bool Exists, T Value)> TryGetAsync<T>(string key) => State.TryGetAsync<T>(key);

        /// <summary>Writes an entry.</summary>
        public static Task SetAsync<T>(string key, T value) => State.SetAsync(key, value);

        /// <summary>Removes an entry.</summary>
        public static Task RemoveAsync(string key) => State.RemoveAsync(key);

        /// <summary>The value of a key, or another where it is absent.</summary>
        public static Task<T> GetOrDefaultAsync<T>(string key, T defaultValue = default!) => State.GetOrDefaultAsync(key, defaultValue);

        /// <summary>The value of a key; where it is absent, a new one is made and written.</summary>
        public static Task<T> GetOrNewAsync<T>(string key) where T : new() => State.GetOrNewAsync<T>(key);

        /// <summary>The value of a key; where it is absent, a new one is made and written.</summary>
        public static Task<T> GetOrNewAsync<T>(string key, Func<T> createFunc) => State.GetOrNewAsync(key, createFunc);
    }
}
