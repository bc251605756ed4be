/**
 * The demo shop's products, by category. Written by hand: a shop that reads like one finds more mistakes than "Product 17".
 */

/** sku, name, description, prices in cents, euro cents and yen, and former prices in the same order. */
export type DemoProduct = readonly [
  sku: string,
  name: string,
  description: string,
  prices: readonly [usd: number, eur: number, jpy: number],
  before?: readonly [usd: number, eur: number, jpy: number],
];

export interface DemoCategory {
  readonly name: string;
  readonly taxCategory: 'standard' | 'food' | 'books';
  /** Of one unit, packed, where a product is not far from it. */
  readonly weightGrams: number;
  readonly products: readonly DemoProduct[];
}

export const DEMO_CATEGORIES: readonly DemoCategory[] = [
  {
    name: 'Coffee & Tea',
    taxCategory: 'food',
    weightGrams: 300,
    products: [
      [
        'COF-ALDEA-250',
        'Aldea Espresso Blend, 250 g',
        'A round, chocolate-heavy blend from three farms in Huila and Minas Gerais. Roasted on Mondays and rested for a week, so it pulls well from the first bag.',
        [1450, 1290, 1880],
      ],
      [
        'COF-YIRGA-250',
        'Yirgacheffe Washed, 250 g',
        'Jasmine, bergamot and a clean lemon finish from a single washing station near Kochere. Best as a pour-over, slightly cooler than you think.',
        [1790, 1590, 2280],
      ],
      [
        'COF-NIGHT-250',
        'Night Shift Decaf, 250 g',
        'Sugarcane-processed beans that keep their caramel and lose only the caffeine. For the cup after dinner that should not become a night.',
        [1590, 1390, 1980],
        [1790, 1590, 2280],
      ],
      [
        'COF-COLD-6',
        'Cold Brew Bags, Box of 6',
        'Coarsely ground coffee in paper bags: one bag, one litre of water, one night in the fridge. No filter, no mess and no bitter edge.',
        [1290, 1190, 1680],
      ],
      [
        'TEA-SENCHA-100',
        'Sencha from Shizuoka, 100 g',
        'First-flush leaves, lightly steamed, with the sweetness of young peas. Brew at 75 degrees and use the leaves three times.',
        [1890, 1690, 1980],
      ],
      [
        'TEA-SMOKE-80',
        'Pine-Smoked Black Tea, 80 g',
        'Whole leaves dried over pine embers the slow way, more campfire than ashtray. Strong enough for milk, good enough without.',
        [1350, 1190, 1580],
      ],
      [
        'TEA-CHAMO-60',
        'Alpine Chamomile, 60 g',
        'Whole flower heads from a valley above Chur, picked by hand and dried in the shade. Tastes of apples and honey, as the bagged kind never does.',
        [990, 890, 1280],
      ],
    ],
  },
  {
    name: 'Kitchen',
    taxCategory: 'standard',
    weightGrams: 1100,
    products: [
      [
        'KIT-SKILLET-26',
        'Carbon Steel Skillet, 26 cm',
        'Lighter than cast iron, just as fond of a steak, and pre-seasoned with flaxseed oil. It gets better every year that you do not put it in the dishwasher.',
        [6900, 6490, 9800],
      ],
      [
        'KIT-KNIFE-180',
        'Santoku Knife, 180 mm',
        'A blade of VG-10 steel between two softer layers, ground to fifteen degrees a side. The walnut handle is octagonal and stays where you put it.',
        [12900, 11900, 16800],
        [14900, 13900, 19800],
      ],
      [
        'KIT-BOARD-L',
        'End-Grain Cutting Board, Large',
        'Beech blocks set on end, so that the knife goes between the fibres and both last longer. Rubber feet below, a groove for the roast above.',
        [8400, 7900, 11800],
      ],
      [
        'KIT-KETTLE-09',
        'Gooseneck Kettle, 0.9 l',
        'A spout that pours as slowly as your patience allows, with a thermometer in the lid. Works on gas, ceramic and induction.',
        [5900, 5490, 7980],
      ],
      [
        'KIT-GRINDER',
        'Hand Grinder with Steel Burrs',
        'Thirty-six clicks from espresso to French press, and quiet enough for a shared flat. Grinds twenty grams in under a minute.',
        [9900, 9290, 13800],
      ],
      [
        'KIT-SCALE',
        'Pocket Kitchen Scale',
        'Weighs to a tenth of a gram up to two kilos and starts its own timer when the water does. Charges by USB-C about twice a year.',
        [3900, 3590, 4980],
      ],
      [
        'KIT-CROCK-2',
        'Fermentation Crock, 2 l',
        'Stoneware with a water seal: the gas gets out and the kitchen smells of nothing. Comes with two weights and a small book of first mistakes.',
        [4900, 4590, 6480],
      ],
      [
        'KIT-LINEN-3',
        'Linen Tea Towels, Set of 3',
        'Heavy washed linen in flax, rust and ink that dries glass without lint. Softer after every wash, for about ten years.',
        [2900, 2690, 3980],
      ],
    ],
  },
  {
    name: 'Outdoor',
    taxCategory: 'standard',
    weightGrams: 900,
    products: [
      [
        'OUT-TENT-2',
        'Two-Person Ridge Tent',
        'A three-season tent of 1.6 kg that two people can pitch in four minutes, or one in six. Two doors, two porches and no argument about who sleeps where.',
        [34900, 32900, 46800],
        [39900, 37900, 53800],
      ],
      [
        'OUT-BAG-0',
        'Down Sleeping Bag, 0 °C',
        'Responsibly sourced 750-fill down in a shell that shrugs off condensation. The zip has a guard and does not eat the fabric.',
        [25900, 24900, 35800],
      ],
      [
        'OUT-STOVE',
        'Folding Gas Stove',
        'Eighty-six grams, three serrated arms, and a flame that goes as low as a simmer. Fits into a cup together with its cartridge.',
        [4490, 4190, 5980],
      ],
      [
        'OUT-FLASK-1',
        'Steel Flask, 1 l',
        'Keeps tea hot from breakfast to the summit and ice solid through an August car park. One wide mouth, one gasket, nothing else to lose.',
        [3490, 3290, 4580],
      ],
      [
        'OUT-LAMP',
        'Rechargeable Headlamp',
        'Four hundred lumens for the path, a red light for the hut, and a lock so that it does not empty itself in the pack. Runs for forty hours on low.',
        [4990, 4690, 6680],
      ],
      [
        'OUT-MAP-CASE',
        'Waxed Map Case',
        'Cotton canvas and a clear window that stays clear in the rain. Folds to the size of a hand and outlives most phones.',
        [2790, 2590, 3680],
      ],
      [
        'OUT-HAMMOCK',
        'Travel Hammock with Straps',
        'Parachute nylon, tree-friendly straps and two honest carabiners, all in a pouch as big as a grapefruit. Holds 180 kilos of whoever got there first.',
        [5490, 5190, 7480],
      ],
      [
        'OUT-SUMMIT-JKT',
        'Summit Shell, First Edition',
        'The first two hundred of a three-layer shell, each numbered inside the collar. One to a customer while they last, held for you for ten minutes.',
        [44900, 42900, 59800],
      ],
    ],
  },
  {
    name: 'Desk',
    taxCategory: 'standard',
    weightGrams: 800,
    products: [
      [
        'DSK-LAMP-ARC',
        'Arc Task Lamp',
        'A warm, flicker-free light on an arm that stays exactly where it is left. Dims by a brass wheel, because some things should turn.',
        [11900, 10900, 15800],
      ],
      [
        'DSK-PAD-WOOL',
        'Merino Desk Pad',
        'Three millimetres of felted merino that quiets the keyboard and warms the wrists. Natural grey, with a leather loop for the pen.',
        [4900, 4590, 6480],
      ],
      [
        'DSK-PEN-BRASS',
        'Brass Rollerball',
        'Turned from a single rod, it weighs as much as a good idea and darkens with use. Takes the refill that every stationer has.',
        [5900, 5490, 7980],
      ],
      [
        'DSK-NOTE-A5',
        'Dot Grid Notebook, A5',
        'Two hundred numbered pages of paper that forgives fountain pens, bound to lie flat. An index at the front, a pocket at the back.',
        [1890, 1690, 2480],
      ],
      [
        'DSK-STAND',
        'Walnut Laptop Stand',
        'Lifts the screen to where your neck wants it and folds flat for the train. Held by two magnets and no screws.',
        [7900, 7490, 10800],
        [8900, 8490, 11800],
      ],
      [
        'DSK-KEYS-75',
        'Mechanical Keyboard, 75 %',
        'Hot-swappable tactile switches under dye-sublimated caps, in an aluminium case that does not ring. By cable or by radio to three machines.',
        [14900, 13900, 19800],
      ],
      [
        'DSK-CLOCK',
        'Quiet Analogue Clock',
        'A sweeping hand, so there is no tick to count at night. Beech, glass and a single AA cell.',
        [3900, 3590, 5280],
      ],
      [
        'DSK-TRAY-3',
        'Stacking Paper Trays, Set of 3',
        'Powder-coated steel in sage, sand and black, for paper that insists on existing. They stack straight and do not scratch the desk.',
        [3690, 3390, 4980],
      ],
    ],
  },
  {
    name: 'Audio',
    taxCategory: 'standard',
    weightGrams: 700,
    products: [
      [
        'AUD-PHONES-OE',
        'Open-Back Headphones',
        'Wide, unhurried sound for a quiet room, with velour pads and a cable that can be replaced. You will hear the room they recorded in.',
        [22900, 21900, 31800],
      ],
      [
        'AUD-BUDS',
        'Everyday Earbuds',
        'Eight hours in the ears, thirty in the case, and microphones that understand wind. Buttons, not taps, because gloves exist.',
        [9900, 9290, 13800],
        [12900, 11900, 17800],
      ],
      [
        'AUD-SPEAKER-S',
        'Shelf Speaker, Small',
        'Four inches of paper cone in a birch box, with an amplifier of its own. Plays from cable, radio or the network and remembers which you like.',
        [17900, 16900, 24800],
      ],
      [
        'AUD-TURN',
        'Belt-Drive Turntable',
        'A heavy platter, a straight carbon arm and a cartridge that is already aligned. Built-in phono stage, which can be switched off when you outgrow it.',
        [29900, 27900, 39800],
      ],
      [
        'AUD-MIC-USB',
        'USB Desk Microphone',
        'One cardioid capsule, one mute key with a light, and no software to install. Makes a spare room sound like a smaller, better one.',
        [8900, 8490, 12800],
      ],
      [
        'AUD-RADIO',
        'Pocket Radio',
        'FM and DAB+ with a dial that turns and a week of evenings per charge. Made for kitchens, allotments and extra time.',
        [6900, 6490, 9480],
      ],
      [
        'AUD-CABLE-2',
        'Braided Audio Cable, 2 m',
        'Copper under cotton, with plugs that click and a strap to tie it up. It carries sound, and we claim nothing else for it.',
        [1490, 1390, 1980],
      ],
    ],
  },
  {
    name: 'Bags',
    taxCategory: 'standard',
    weightGrams: 850,
    products: [
      [
        'BAG-ROLL-25',
        'Roll-Top Backpack, 25 l',
        'Recycled sailcloth, welded seams and a laptop sleeve that hangs clear of the floor. Closes over whatever you bought on the way home.',
        [12900, 11900, 17800],
      ],
      [
        'BAG-WEEK-40',
        'Weekender, 40 l',
        'Waxed canvas with a shoe compartment and handles that meet. Cabin-sized for most airlines and all trains.',
        [18900, 17900, 25800],
      ],
      [
        'BAG-TOTE',
        'Heavy Canvas Tote',
        'Eighteen-ounce cotton with a flat base and a pocket for keys at the right height. Carries eleven bottles, according to a customer.',
        [3490, 3290, 4780],
      ],
      [
        'BAG-SLING-6',
        'Everyday Sling, 6 l',
        'Room for a camera, a book and a rain jacket, on a strap that changes shoulder in one movement. The zips face inwards in a crowd.',
        [6490, 5990, 8980],
      ],
      [
        'BAG-WALLET',
        'Slim Card Wallet',
        'Vegetable-tanned leather for six cards and a few folded notes, stitched in Ubrique. Starts stiff, ends up yours.',
        [4490, 4190, 5980],
        [5490, 5190, 7480],
      ],
      [
        'BAG-CUBES-4',
        'Packing Cubes, Set of 4',
        'Ripstop with mesh tops, so that you see which one has the socks. Compress by a second zip and weigh next to nothing.',
        [3290, 2990, 4480],
      ],
      [
        'BAG-PANNIER',
        'Commuter Pannier, 20 l',
        'Clicks on to any rack in a second and turns into a shoulder bag at the office. Waterproof without looking as if it were.',
        [8900, 8490, 11800],
      ],
    ],
  },
  {
    name: 'Books',
    taxCategory: 'books',
    weightGrams: 550,
    products: [
      [
        'BOK-BREAD',
        'Bread on an Ordinary Tuesday',
        'Forty loaves that fit around a working day, with timetables instead of promises. The chapter on rye alone is worth the flour.',
        [2900, 2490, 3480],
      ],
      [
        'BOK-TIDES',
        'The Tide Tables',
        'A novel about two sisters, one lighthouse and a century of letters that were never sent. Quiet for two hundred pages and then not at all.',
        [1790, 1490, 2180],
      ],
      [
        'BOK-MAPS',
        'How Maps Decide',
        'A cartographer explains what every map leaves out, and who asked for it. Sixty plates, most of them wrong on purpose.',
        [3490, 2990, 4280],
      ],
      [
        'BOK-REPAIR',
        'The Patient Repairer',
        'Bicycles, lamps, chairs and zips: how things come apart and why they should go together again. Drawings on every page, patience not included.',
        [2490, 2190, 2980],
      ],
      [
        'BOK-NIGHTSKY',
        'A Small Book of the Night Sky',
        'Fifty-two evenings with the naked eye, one for each week, from the northern half of the world. Printed in red, so that you can read it outside.',
        [1890, 1590, 2280],
      ],
      [
        'BOK-QUEUES',
        'Waiting: A History of Queues',
        'From bread lines to ticket drops, what people owe to whoever came first. Funnier than it has any right to be.',
        [2290, 1990, 2780],
        [2690, 2290, 3180],
      ],
      [
        'BOK-QUEUES-EPUB',
        'Waiting: A History of Queues (e-book)',
        'The same book for a screen, with every source a tap away. No queue, no parcel: it is yours when you have paid.',
        [1490, 1290, 1780],
      ],
      [
        'BOK-GARDEN',
        'Gardens in Pots',
        'Herbs, tomatoes and one stubborn fig on a fourth-floor balcony, month by month. Written by someone who has killed most of them once.',
        [2190, 1890, 2680],
      ],
    ],
  },
  {
    name: 'Toys & Games',
    taxCategory: 'standard',
    weightGrams: 750,
    products: [
      [
        'TOY-BLOCKS-60',
        'Maple Building Blocks, 60 Pieces',
        'Unpainted maple with edges that small hands trust, in a box that is also a cart. Enough for a castle and most of a bridge.',
        [5490, 5190, 7480],
      ],
      [
        'TOY-MARBLE',
        'Cardboard Marble Run',
        'Die-cut card, no glue, and forty marbles that find every gap. Rebuild it until it works, then make it worse.',
        [3290, 2990, 4280],
      ],
      [
        'TOY-PUZZLE-1K',
        'Harbour at Dawn Puzzle, 1000 Pieces',
        'A painted harbour with far too much sky, cut so that no two pieces lie about fitting. Comes with a linen bag and a spare-piece promise.',
        [2490, 2290, 3280],
      ],
      [
        'TOY-CARDS',
        'Illustrated Playing Cards',
        'Fifty-four small paintings of birds, on stock that shuffles like silk. The jokers are magpies.',
        [1490, 1390, 1980],
      ],
      [
        'TOY-KITE',
        'Pocket Stunt Kite',
        'No rods, so nothing to break and nothing to leave in the car. Up in a light breeze, with two lines on winders.',
        [3990, 3690, 5480],
      ],
      [
        'TOY-BOARD-FERRY',
        'Ferryman, a Board Game',
        'Two to four players carry goods across one river with one boat. Learned in five minutes, argued over for an hour.',
        [4490, 4190, 5980],
        [4990, 4690, 6680],
      ],
      [
        'TOY-TELESCOPE',
        'First Telescope, 70 mm',
        'Glass lenses, a steady tripod and a finder that a nine-year-old can align. Shows the rings of Saturn, and the neighbours’ chimney.',
        [12900, 11900, 17800],
      ],
      [
        'TOY-ROBOT-LTD',
        'Wind-Up Robot, Numbered Edition',
        'Lithographed tin with a key and a spark wheel, made once in an edition of 120. Two to a customer while they last, held for you for ten minutes.',
        [8900, 8490, 11800],
      ],
    ],
  },
];
