"""The words that prompts are made of. Any change here changes the version of the grid, and so the books."""

# Whole words in the writer's vocabulary, so that no other name can be spelled where these are the only ones allowed.
WOMEN = (
    "Anna Mia Lucy Lily Bella Ella Emma Clara Ruby Sara Alice Jane Kate Molly Eva Julia Maria Emily Sophie Hannah "
    "Laura Martha Nina Lisa Ada Amy Betty Polly Maya Mary Nancy Susan"
).split()
MEN = (
    "Tom Ben Max Sam Jack Leo Finn Oscar Bob Tim Paul Peter Hugo Felix Otto Adam Jim Dan Fred Henry Charlie Nick "
    "Luke Simon David Oliver Karl Hans George Harry Jacob Martin"
).split()
KINDS = (
    "fox owl mouse bear rabbit cat dog duck frog crow pony squirrel turtle hedgehog goat lamb pig hen beaver badger "
    "deer wolf lion elephant monkey penguin otter mole sparrow donkey goose dragon giant robot farmer baker tailor "
    "sailor painter gardener puppy kitten horse cow sheep tiger whale snail parrot pirate teacher doctor"
).split()
HOMES = (
    "in an old mill|in a small house by the river|at the edge of a forest|in a quiet village|under a big oak tree|"
    "on a green hill|in a little town by the sea|in a warm cave|near a blue lake|in a white house with a red roof|"
    "behind a tall wall|in a deep valley|on a small island|next to a windmill|in a wooden hut|at the end of a long road|"
    "in the middle of a big garden|near an old stone bridge|at the foot of a mountain|in a tower by the water"
).split("|")
# What can be carried, and what stays where it is; a noun and the words that may stand before it.
THINGS = """
kite: red, blue, torn
lamp: broken, old, little
boat: paper, wooden, tiny
key: silver, rusty, golden
seed: magic, tiny, strange
pie: apple, warm, burnt
letter: lost, long, secret
ball: red, lost, bouncing
hat: big, green, funny
basket: empty, heavy, little
bell: silver, loud, old
drum: big, noisy, small
book: old, thick, secret
map: old, torn, secret
ladder: long, wooden, broken
clock: old, slow, broken
mirror: little, round, cracked
button: blue, shiny, lost
coat: warm, yellow, new
scarf: long, striped, woolen
shoe: lost, muddy, old
boot: rubber, muddy, wet
glove: lost, warm, red
blanket: soft, warm, patchwork
pillow: soft, torn, big
cake: birthday, chocolate, huge
cookie: round, big, sweet
egg: blue, strange, golden
feather: white, long, colorful
shell: pink, shiny, big
stone: shiny, smooth, heavy
flower: blue, wild, tiny
rose: red, white, yellow
leaf: golden, giant, green
mushroom: spotted, tall, tasty
pumpkin: giant, orange, round
carrot: huge, sweet, crooked
apple: red, golden, shiny
pear: ripe, yellow, sweet
nut: hard, tiny, brown
candle: small, white, tall
lantern: bright, paper, rusty
cart: wooden, little, heavy
wheel: broken, big, squeaky
sled: fast, wooden, new
rope: long, strong, old
net: torn, big, fishing
bucket: leaky, full, tin
spoon: wooden, silver, bent
pot: cooking, big, copper
kettle: whistling, black, old
cup: cracked, tiny, blue
bowl: empty, wooden, big
teapot: broken, round, painted
jar: honey, glass, empty
bottle: green, floating, tiny
box: locked, tin, mysterious
coin: gold, lucky, lost
ring: silver, lost, magic
necklace: pearl, broken, pretty
crown: paper, golden, tiny
mask: scary, funny, feather
puppet: wooden, sad, little
doll: lost, rag, pretty
train: toy, wooden, red
whistle: tin, loud, silver
flute: wooden, silver, little
violin: old, small, broken
song: new, sad, happy
picture: beautiful, old, funny
tent: green, small, leaky
umbrella: yellow, broken, big
broom: flying, old, new
present: secret, big, little
wish: secret, big, small
dream: strange, bad, wonderful
secret: big, old, little
joke: funny, silly, bad
race: long, boat, snow
game: new, board, ball
butterfly: yellow, tired, blue
bee: busy, lost, little
sandwich: cheese, huge, tasty
pancake: giant, burnt, sweet
soup pot: big, hot, full
paintbrush: new, thin, magic
camera: old, little, broken
telescope: long, old, brass
balloon: red, big, flying
bicycle: new, rusty, small
swing: rope, wooden, new
snowball: huge, cold, rolling
toy: broken, woolen, new
ticket: lost, train, golden
medal: shiny, gold, lost
flag: blue, torn, little
pencil: red, short, magic
ribbon: pink, long, silk
sweater: woolen, itchy, blue
"""
PLACES = """
well: deep, old, dry
bridge: narrow, broken, wooden
door: secret, tiny, locked
star: fallen, bright, lonely
snowman: tall, sad, friendly
tree: tall, fallen, hollow
pond: frozen, muddy, quiet
cave: dark, small, hidden
storm: big, sudden, winter
rainbow: bright, double, beautiful
cloud: dark, funny, pink
fence: broken, white, high
gate: open, rusty, garden
nest: empty, warm, high
garden: wild, hidden, vegetable
path: hidden, muddy, winding
puddle: deep, muddy, huge
tunnel: long, dark, narrow
island: small, green, hidden
raft: wooden, shaky, little
window: open, broken, round
chimney: smoking, tall, old
roof: leaky, steep, red
market: busy, winter, noisy
party: birthday, garden, surprise
picnic: spring, rainy, little
fire: warm, small, camp
shop: toy, new, little
barn: empty, red, old
cherry tree: old, tall, blooming
waterfall: loud, high, hidden
hill: steep, snowy, grassy
meadow: sunny, green, wide
beach: sandy, windy, empty
lighthouse: old, white, lonely
castle: sand, old, empty
tower: tall, crooked, stone
train station: busy, small, old
kitchen: messy, warm, big
attic: dusty, dark, secret
cellar: cold, dark, dusty
night: dark, starry, cold
moon: full, bright, yellow
shadow: long, strange, big
noise: strange, loud, funny
smell: sweet, strange, bad
parade: spring, noisy, colorful
school: new, little, music
library: old, quiet, big
farm: big, old, busy
"""
TURNS = (
    "{h} learns to share.|{h} is very brave.|{f} helps {h}.|{h} helps {f}.|{h} finds it and {f} is surprised.|"
    "{h} and {f} have a problem and solve it together.|{h} and {f} are afraid at first, but then they laugh.|"
    "{h} makes a mistake and says sorry to {f}.|{f} has a clever idea.|{h} has a good idea.|"
    "{h} is sad, and {f} makes {him} happy.|{h} and {f} quarrel, and then they are friends again.|"
    "{h} wants to make {f} happy.|{h} learns to be patient.|{h} and {f} find the way home.|"
    "{f} is in trouble, and {h} helps {fhim}.|{h} and {f} work together.|{h} keeps a promise.|{h} tells {f} the truth.|"
    "{h} wants to give up, but {f} does not.|{h} gets a surprise.|{h} teaches {f} something.|{f} teaches {h} something.|"
    "{h} and {f} have a lot of fun.|Something goes wrong, but all ends well."
).split("|")
WHEN = (
    "One morning|One sunny day|The next day|One afternoon|On a rainy day|One cold evening|Early in the morning|"
    "A week later|Some days later|One day in spring|One summer day|On a windy day in autumn|One winter morning|"
    "After breakfast|When the sun came out|When it was getting dark|One quiet evening|The next morning|Not long after that|"
    "On a warm day|One day|After the rain|Just before dinner|On a Sunday|On market day|Late in the evening"
).split("|")
FIRST = (
    "Once upon a time, there was {a} {hk} named {h}. {He} lived {home}, and {his} best friend was {f} the {fk}.|"
    "Once there was {a} {hk} called {h}, and {he} lived {home}. {His} friend {f} the {fk} came to see {him} every day.|"
    "{h} the {hk} lived {home}. {He} was never alone, because {f} the {fk} was {his} best friend.|"
    "There once lived {a} {hk} {home}. {His} name was {h}, and {his} best friend was {f} the {fk}.|"
    "Long ago, {a} {hk} named {h} lived {home}. {f} the {fk} lived next door, and {fhe} was {his} friend.|"
    "{h} was {a} {young} {hk} who lived {home}. {His} best friend was {fa} {fk} named {f}."
).split("|")
YOUNG = "young kind cheerful brave curious clever small friendly".split()
FIRST_EVENT = (
    "|One day,|One day, {h}|{when}, {h} found {o}.|{when}, {h} and {f} saw {o}.|{when}, {f} told {h} about {o}.".split(
        "|"
    )
)
# How later chapters begin; {o} is what the chapter is about, {p} what an earlier one was about.
WITH_THING = (
    "{when}, {h} the {hk} found {o}. {He}|{when}, {h} and {f} found {o}.|{when}, {f} the {fk} came to {h} with {o}.|"
    "{when}, {h} showed {f} {o}.|{h} had {o}. {when}, {he}"
).split("|")
WITH_ANY = (
    "{when}, {h} told {f} the {fk} about {o}.|{when}, {h} the {hk} was thinking of {o}.|"
    '{when}, {h} and {f} were talking about {o}.|"Do you know what I saw?" {h} asked. "{O}!" {f} the {fk}|'
    "{h} the {hk} had never seen {o} before. {when}, {he}|{when}, {f} asked {h} about {o}."
).split("|")
WITH_PLACE = "{when}, {h} and {f} came to {o}.|{when}, {h} the {hk} saw {o}. {He}|{when}, {h} saw {o} and ran to {f} the {fk}.".split(
    "|"
)
WITH_NONE = (
    "{when}, {h} the {hk} went to see {f} the {fk}.|{when}, {f} the {fk} came to see {h} the {hk} {home}.|"
    "{when}, {h} the {hk} sat at home {home} with {his} friend {f}.|{when}, {h} was sitting outside with {his} friend {f}.|"
    "{when}, {h} and {f} went for a walk.|{when}, {h} woke up and looked out of the window. {He}|"
    "{when}, {f} the {fk} knocked at the door of {h}.|{h} was at home {home} when {f} came in.|"
    "{when}, {f} the {fk} was looking for {h}.|{h} could not sleep. {when}, {he}|{h} the {hk} had an idea. {when}, {he}|"
    '{when}, {h} the {hk} came out of {his} house {home}. {He}|"Come with me," {h} said to {f} the {fk}.'
).split("|")
WITH_EARLIER = (
    "{when}, {h} and {f} were still talking about {p}. Then|{h} had not forgotten {p}. {when}, {he}|"
    "Nobody had forgotten {p}. {when}, {h} the {hk}|{when}, {h} the {hk} thought of {p} and smiled. {He}|"
    '"Do you remember {p}?" {f} the {fk} asked. {h} nodded.|{when}, {f} told everyone about {p}. {h}'
).split("|")
# {n} is the object's noun; the empty ones let the last sentence be free.
CLOSINGS = (
    " In the end,| That evening,| That night,| From that day on,| At last,| And so| When they got home,|"
    " When the day was over,| After that,| {h} laughed and| Before {he} went to bed,| {h} and {f}| {f} nodded and|"
    " And {h}| So {h} the {hk}| Then {f} the {fk}| In the end, the {n}| And the {n}| {h} looked at the {n} and|"
    " From that day on, the {n}| {h} never forgot the {n}|||||"
).split("|")
# Words that a sentence may begin with: all other capitals are barred, so that no one else gets a name.
CAPITALS = (
    "A After Again All Although Always An And Another Any Anything Are As At Back Be Because Before Behind Both "
    "But By Can Carefully Come Could Did Do Does Don Down Each Even Every Everyone Everything Finally First For "
    "From Get Give Go Good Got Had Has Have He Hello Help Her Here Hey His How I If In Inside Instead Is It Just "
    "Keep Later Let Like Look Make Many Maybe Most My Never Next No Nobody Not Nothing Now Of Oh Okay On Once One "
    "Only Or Other Our Out Outside Over Please Put Quickly See She Should Since Slowly So Some Someone Something "
    "Sometimes Soon Still Stop Suddenly Sure Take Tell Thank Thanks That The Their Then There These They This "
    "Those Though Three To Today Together Tomorrow Tonight Try Two Under Until Up Wait Was We Well Were What When "
    "Where Which While Who Why Will With Without Would Wow Yes Yesterday You Your "
).split()


def closing_words() -> list[str]:
    """The words of closings, without what is put into them."""
    return [word for closing in CLOSINGS for word in closing.split() if "{" not in word]
